// attack: compares what two processes share inside the kernel
// class: kernel/tracing
// expect: held
// stopped-by: seccomp
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    long got = syscall(SYS_kcmp, getpid(), getpid(), 1 /* KCMP_VM */, 0, 0);
    if (got >= 0) puts("BREACHED: the kernel compared");
    else printf("held: %s\n", strerror(errno));
}
