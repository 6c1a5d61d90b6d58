// attack: holds the kernel still inside a copy from user memory
// class: kernel/userfaultfd
// expect: held
// stopped-by: seccomp, confined-service
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    long got = syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */);
    if (got >= 0) puts("BREACHED: a userfaultfd was made");
    else printf("held: %s\n", strerror(errno));
}
