// attack: makes a user namespace, where it would have every capability
// class: kernel/namespaces
// expect: held
// stopped-by: seccomp
// outside: breached on the host
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#define __USE_GNU
#include <sched.h>

int main(void) {
    long got = unshare(CLONE_NEWUSER);
    if (got >= 0) puts("BREACHED: a user namespace was made");
    else printf("held: %s\n", strerror(errno));
}
