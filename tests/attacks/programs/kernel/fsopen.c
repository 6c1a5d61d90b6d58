// attack: mounts through the new calls
// class: kernel/mounts
// expect: held
// stopped-by: seccomp, capabilities
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    long got = syscall(SYS_fsopen, "tmpfs", 0);
    if (got >= 0) puts("BREACHED: a file system was opened");
    else printf("held: %s\n", strerror(errno));
}
