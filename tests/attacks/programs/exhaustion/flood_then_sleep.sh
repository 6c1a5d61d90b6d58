# attack: floods, then sleeps, so that nobody sees the end of the output
# class: exhaustion/output
# expect: output limit
# stopped-by: output
# outside: breached
# limits: output_bytes=65536
dd if=/dev/zero bs=65536 count=32 2>/dev/null
sleep 1
printf '\nBREACHED: it ran on\n'
