# attack: reads what sockets the host has
# class: leaks/proc
# expect: held
# stopped-by: network-namespace
# outside: breached
# The first line is a heading.
if [ "$(cat /proc/self/net/tcp /proc/self/net/unix 2>/dev/null | wc -l)" -gt 2 ]; then echo 'BREACHED: sockets of others'; else echo 'held: none'; fi
