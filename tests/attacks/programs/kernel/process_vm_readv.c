// attack: reads the memory of another process
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

static char secret[] = "secret";

int main(void) {
    pid_t child = fork();
    if (!child) for (;;) pause();
    char seen[8] = {0};
    struct iovec here = {seen, sizeof secret}, there = {secret, sizeof secret};
    if (syscall(SYS_process_vm_readv, child, &here, 1, &there, 1, 0) > 0) printf("BREACHED: read %s\n", seen);
    else printf("held: %s\n", strerror(errno));
    kill(child, SIGKILL);
}
