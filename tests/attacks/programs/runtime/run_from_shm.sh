# attack: runs a program out of shared memory
# class: runtime/fresh-mounts
# expect: held
# stopped-by: noexec
# outside: breached
printf '#!/bin/sh\necho "BREACHED: it runs"\n' >/dev/shm/program
chmod +x /dev/shm/program
/dev/shm/program 2>/dev/null || echo 'held: it does not run'
