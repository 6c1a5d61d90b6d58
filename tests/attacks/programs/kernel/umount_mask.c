// attack: takes the mask off /proc
// class: kernel/mounts, leaks/proc
// expect: held
// stopped-by: seccomp, capabilities
// outside: not run, there is no mask outside
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/mount.h>

int main(void) {
    long got = umount2("/proc/keys", MNT_DETACH);
    if (got >= 0) puts("BREACHED: a mask is gone");
    else printf("held: %s\n", strerror(errno));
}
