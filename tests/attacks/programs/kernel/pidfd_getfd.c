// attack: takes an open file out of another process
// class: kernel/tracing
// expect: held
// stopped-by: seccomp
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <signal.h>

int main(void) {
    int ready[2];
    if (pipe(ready)) return 1;
    pid_t child = fork();
    if (!child) for (;;) pause();
    long pidfd = syscall(SYS_pidfd_open, child, 0);
    long fd = syscall(SYS_pidfd_getfd, pidfd, ready[0], 0);
    if (fd >= 0) puts("BREACHED: an open file was taken");
    else printf("held: %s\n", strerror(errno));
    kill(child, SIGKILL);
}
