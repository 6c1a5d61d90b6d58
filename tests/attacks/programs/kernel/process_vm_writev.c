// attack: writes into the memory of another process
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
#include <sys/uio.h>

static char target[8];

int main(void) {
    pid_t child = fork();
    if (!child) for (;;) pause();
    char mine[8] = "changed";
    struct iovec here = {mine, 8}, there = {target, 8};
    if (syscall(SYS_process_vm_writev, child, &here, 1, &there, 1, 0) > 0) puts("BREACHED: written");
    else printf("held: %s\n", strerror(errno));
    kill(child, SIGKILL);
}
