# attack: reads in its mount table where on the disk of the host the image lies
# class: leaks/proc, leaks/messages
# expect: held
# stopped-by: own-inodes
# outside: not run, the mounts outside are no secret there
if grep -q 'images/.*rootfs' /proc/self/mountinfo; then echo 'BREACHED: the path of the image'; else echo 'held: no path of the host'; fi
