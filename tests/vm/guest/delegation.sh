# The way of a rootless service on a systemd host, step by step: a delegated scope, namespaces of its own, limits on
# leaves that crun and runc make. Run as an ordinary user with subordinate ids; ends with 1 when a promise fails.
# Stages are functions of one script, handed on as text: outside (in the scope), inside (in the namespaces).
set -eu
bad=0
expect() { # NAME WANTED GOT
    if [ "$2" = "$3" ]; then echo "  ok   $1 = $3"; else echo "  FAIL $1 = $3, wanted $2"; bad=1; fi
}

bundle() { # DIR CGROUPS_PATH COMMAND…
    local dir=$1 path=$2
    shift 2
    mkdir -p "$dir"
    jq -n --arg path "$path" --arg root "$PWD/rootfs" '{
        ociVersion: "1.0.2", root: {path: $root, readonly: true}, hostname: "job",
        process: {cwd: "/", user: {uid: 1, gid: 1}, env: ["PATH=/usr/bin"], args: $ARGS.positional, noNewPrivileges: true,
            capabilities: {bounding: [], effective: [], permitted: [], inheritable: [], ambient: []}},
        mounts: [
            {destination: "/proc", type: "proc", source: "proc"},
            {destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755", "size=65536"]},
            {destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "size=1048576"]}],
        linux: {cgroupsPath: $path,
            namespaces: [{type: "user"}, {type: "pid"}, {type: "ipc"}, {type: "uts"}, {type: "mount"}, {type: "network"}, {type: "cgroup"}],
            uidMappings: [{containerID: 0, hostID: 1000, size: 16}], gidMappings: [{containerID: 0, hostID: 1000, size: 16}],
            resources: {memory: {limit: 52428800, swap: 52428800}, pids: {limit: 64}, cpu: {quota: 100000, period: 1000000}}}}' \
        --args -- "$@" >"$dir/config.json"
}

life() { # RUNTIME
    local runtime=$1 leaf=/sys/fs/cgroup/jobs/$1-oom run
    case $1 in
    crun) run="crun --root $PWD/state-crun --cgroup-manager=cgroupfs" ;;
    runc) run="runc --root $PWD/state-runc --rootless=true" ;;
    esac
    echo "$runtime, memory:"
    bundle "$runtime-oom" "/jobs/$runtime-oom" python3 -c 'a = bytearray(200 << 20); print("survived")'
    $run create --bundle "$PWD/$runtime-oom" --pid-file "$PWD/$runtime.pid" "$runtime-oom" </dev/null >"$runtime.out" 2>&1 || { cat "$runtime.out"; return 1; }
    expect memory.max 52428800 "$(cat $leaf/memory.max)"
    expect memory.swap.max 0 "$(cat $leaf/memory.swap.max)"
    expect pids.max 64 "$(cat $leaf/pids.max)"
    expect cpu.max "100000 1000000" "$(cat $leaf/cpu.max)"
    echo 1 >$leaf/memory.oom.group
    expect memory.oom.group 1 "$(cat $leaf/memory.oom.group)"
    echo "  the waiting container: cgroup $(cut -d: -f3 /proc/"$(cat $runtime.pid)"/cgroup), $(cat $leaf/pids.current) task(s), $(cat $leaf/memory.current) bytes, peak $(cat $leaf/memory.peak)"
    # `wait` knows no adopted children: follow the cgroup's own event until it is empty.
    echo 100000 100000 >$leaf/cpu.max
    $run start "$runtime-oom"
    empty $leaf
    # The kernel counts the victim and then once more each process of the group: more than none is all that is promised.
    expect "oom_kill > 0" yes "$([ "$(sed -n 's/^oom_kill //p' $leaf/memory.events)" -gt 0 ] && echo yes || echo no)"
    expect oom_group_kill 1 "$(sed -n 's/^oom_group_kill //p' $leaf/memory.events)"
    expect output "" "$(cat $runtime.out)"
    $run delete "$runtime-oom"
    expect "leaf after delete" gone "$(test -d $leaf && echo there || echo gone)"

    leaf=/sys/fs/cgroup/jobs/$runtime-tree
    echo "$runtime, cgroup.kill and pids:"
    bundle "$runtime-tree" "/jobs/$runtime-tree" sh -c 'i=0; while [ $i -lt 80 ]; do sleep 1000 & i=$((i + 1)); done; wait'
    $run create --bundle "$PWD/$runtime-tree" "$runtime-tree" </dev/null >"$runtime.out" 2>&1 || { cat "$runtime.out"; return 1; }
    echo max >$leaf/cpu.max
    $run start "$runtime-tree"
    for _ in $(seq 200); do
        [ "$(sed -n 's/^max //p' $leaf/pids.events)" = 0 ] || break
        sleep 0.05
    done
    expect "pids.events max > 0" yes "$([ "$(sed -n 's/^max //p' $leaf/pids.events)" -gt 0 ] && echo yes || echo no)"
    echo 1 >$leaf/cgroup.kill
    empty $leaf
    expect "populated after cgroup.kill" 0 "$(sed -n 's/^populated //p' $leaf/cgroup.events)"
    $run delete "$runtime-tree"
    expect "leaf after delete" gone "$(test -d $leaf && echo there || echo gone)"
}

empty() { # LEAF: until nothing lives in it
    for _ in $(seq 600); do
        grep -q '^populated 0' "$1/cgroup.events" && return
        sleep 0.05
    done
    return 1
}

inside() {
    mount --make-rprivate /
    mount -t proc proc /proc
    # The fresh cgroup2 shows this namespace's root, that is the scope, as /. Directly over the old one the kernel answers
    # EBUSY (the same file system on the same mount point), and the old one cannot be unmounted: hence a tmpfs between.
    echo "cgroup2 directly over the old one: $(mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>&1 | head -n1)"
    mount -t tmpfs -o size=4096 tmpfs /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    echo "inside: uid $(id -u), pid $$, cgroup $(cat /proc/self/cgroup); root of the fresh tree: $(paste -sd' ' /sys/fs/cgroup/cgroup.controllers), procs '$(paste -sd' ' /sys/fs/cgroup/cgroup.procs)'"
    echo "+memory +pids +cpu" >/sys/fs/cgroup/cgroup.subtree_control
    mkdir /sys/fs/cgroup/jobs
    echo "+memory +pids +cpu" >/sys/fs/cgroup/jobs/cgroup.subtree_control
    echo "jobs has: $(cat /sys/fs/cgroup/jobs/cgroup.controllers), enables: $(cat /sys/fs/cgroup/jobs/cgroup.subtree_control)"
    mount -t tmpfs -o mode=755 tmpfs /mnt
    cd /mnt
    mkdir -p rootfs/usr rootfs/proc rootfs/dev rootfs/sys rootfs/tmp
    mount --bind /usr rootfs/usr
    for link in bin sbin lib lib64; do ln -s usr/$link rootfs/$link; done
    for runtime in crun runc; do life $runtime || bad=1; done
    exit $bad
}

# The cgroup namespace is made while the process is still in the scope itself, so that its root is the scope; then the
# process moves, and only then forks: what stays outside the pid namespace has thus left the scope's own level too.
# From inside it could not be moved any more (it shows there as pid 0), and would keep the controllers from being enabled.
middle() {
    echo "middle: $(cat /proc/self/cgroup)"
    echo "enabling with a process at the scope's own level: $( (echo +memory >"$scope/cgroup.subtree_control") 2>&1)"
    mkdir "$scope/server"
    echo $$ >"$scope/server/cgroup.procs"
    echo "moved: $(cat /proc/self/cgroup)"
    exec unshare --pid --fork --kill-child bash -c "$self; inside"
}

outside() {
    scope=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)
    export scope
    echo "outside: $scope; has: $(cat "$scope/cgroup.controllers"); owner $(stat -c %U "$scope/cgroup.procs")"
    exec unshare --user --map-auto --map-root-user --mount --cgroup bash -c "$(declare -f middle); middle"
}

self="set -eu; bad=0; $(declare -f expect bundle life empty inside)"
export self
systemd-run --user --scope --quiet -p Delegate=yes bash -c "$(declare -f middle outside); outside"
