// attack: sets the clock of the machine
// class: kernel/privileges
// expect: held
// stopped-by: seccomp, confined-service
// outside: breached
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

// Whether the call would reach the kernel's own code. A filter of ours stops it there with ENOSYS, but only if no filter
// before it refuses. Where another filter is there already, and lets none be added, it is asked directly.
static int reached(long number) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int ours = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
    if (syscall(number, 0, 0, 0, 0, 0, 0) >= 0) return 1;
    return ours ? errno == ENOSYS : errno != EPERM && errno != ENOSYS;
}

int main(void) {
    int open = 0;
    if (reached(SYS_clock_settime)) puts("BREACHED: clock_settime is not refused"), open = 1;
    if (reached(SYS_settimeofday)) puts("BREACHED: settimeofday is not refused"), open = 1;
    if (reached(SYS_adjtimex)) puts("BREACHED: adjtimex is not refused"), open = 1;
    if (reached(SYS_clock_adjtime)) puts("BREACHED: clock_adjtime is not refused"), open = 1;
    if (!open) puts("held: refused");
}
