// attack: makes a user namespace through clone3, whose flags a filter cannot read
// class: kernel/namespaces
// expect: held
// stopped-by: seccomp
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/sched.h>
#include <signal.h>

int main(void) {
    struct clone_args args = {.flags = 0x10000000 /* CLONE_NEWUSER */, .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) _exit(0);
    if (pid > 0) puts("BREACHED: a user namespace was made");
    else if (errno != ENOSYS) printf("BREACHED: libc would not fall back, it sees %s\n", strerror(errno));
    else puts("held: there is no such call");
}
