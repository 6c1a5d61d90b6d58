# attack: reads where in the hierarchy of cgroups it is
# class: leaks/cgroup
# expect: held
# stopped-by: cgroup-namespace
# outside: not run, no cgroup of ours outside
if cut -d: -f3 /proc/self/cgroup | grep -qvx /; then echo 'BREACHED: the path of the cgroup'; else echo 'held: it is the root'; fi
