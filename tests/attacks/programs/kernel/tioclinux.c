// attack: pastes into a console
// class: kernel/ioctl
// expect: held
// stopped-by: seccomp, confined-service
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    unsigned long requests[] = {0x541c, 0x541c | 1ul << 32, 0x541c | 0xfffffffful << 32};
    int reached = 0;
    for (int i = 0; i < 3; i++) {
        char c = 'x';
        // The kernel looks at the low 32 bits only; without a terminal it says ENOTTY.
        if (syscall(SYS_ioctl, 0, requests[i], &c) == 0 || (errno != ENOSYS && errno != EPERM)) reached = 1;
    }
    puts(reached ? "BREACHED: the kernel was asked" : "held: it is refused");
}
