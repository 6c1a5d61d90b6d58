// attack: takes a mount away, to see what is below it
// class: kernel/mounts
// expect: held
// stopped-by: seccomp, capabilities
// outside: not run, nothing is mounted outside that may go
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/mount.h>

int main(void) {
    long got = umount2("/code", 2 /* MNT_DETACH */);
    if (got >= 0) puts("BREACHED: a mount is gone");
    else printf("held: %s\n", strerror(errno));
}
