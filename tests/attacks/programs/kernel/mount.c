// attack: mounts a file system
// class: kernel/mounts
// expect: held
// stopped-by: seccomp, capabilities
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/mount.h>

int main(void) {
    long got = mount("tmpfs", "/tmp", "tmpfs", 0, "");
    if (got >= 0) puts("BREACHED: a file system was mounted");
    else printf("held: %s\n", strerror(errno));
}
