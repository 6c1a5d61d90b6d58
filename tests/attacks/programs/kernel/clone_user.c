// attack: makes a user namespace together with a process
// class: kernel/namespaces
// expect: held
// stopped-by: seccomp
// outside: breached on the host
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <signal.h>
#include <sys/wait.h>

int main(void) {
    long pid = syscall(SYS_clone, 0x10000000 /* CLONE_NEWUSER */ | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    if (pid > 0) puts("BREACHED: a user namespace was made");
    else printf("held: %s\n", strerror(errno));
}
