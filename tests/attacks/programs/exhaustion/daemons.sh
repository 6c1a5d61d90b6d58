# attack: starts daemons, each in a session of its own
# class: exhaustion/processes
# expect: held
# stopped-by: pids
# outside: not run, nobody would end the daemons
# limits: pids=16
i=0
while [ $i -lt 100 ]; do
    (setsid sleep 30 >/dev/null 2>&1 &) 2>/dev/null
    i=$((i + 1))
done
n=0
for entry in /proc/[0-9]*; do n=$((n + 1)); done
if [ $n -gt 60 ]; then echo "BREACHED: $n processes"; else echo "held: $n processes"; fi
