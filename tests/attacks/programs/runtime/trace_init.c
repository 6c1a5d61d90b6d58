// attack: traces process 1
// class: runtime/init, kernel/tracing
// expect: held
// stopped-by: seccomp, hidden-init
// outside: not run, process 1 of a host is not for us to look into
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/ptrace.h>

int main(void) {
    if (ptrace(PTRACE_SEIZE, 1, 0, 0) == 0) puts("BREACHED: process 1 is traced");
    else printf("held: %s\n", strerror(errno));
}
