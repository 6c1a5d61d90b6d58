// attack: traces a process
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
#include <sys/ptrace.h>
#include <sys/wait.h>

int main(void) {
    pid_t child = fork();
    if (!child) for (;;) pause();
    long got = ptrace(PTRACE_SEIZE, child, 0, 0);
    if (got == 0) puts("BREACHED: a process is traced");
    else printf("held: %s\n", strerror(errno));
    kill(child, SIGKILL);
}
