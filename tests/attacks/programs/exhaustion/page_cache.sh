# attack: reads more than its memory holds, which is no overrun
# class: exhaustion/page-cache
# expect: held
# stopped-by: nothing, it is allowed
# outside: not run, it is allowed everywhere
# limits: memory_mib=32 cpu_percent=0
n=0
for file in /usr/lib/gcc/*/*/* /usr/bin/* /usr/lib/*/*; do
    if [ -f "$file" ]; then cat "$file" >/dev/null; fi
done
echo 'held: read, and alive'
