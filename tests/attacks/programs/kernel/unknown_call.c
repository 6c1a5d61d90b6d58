// attack: makes a call that no rule names, as one of tomorrow will be
// class: kernel/unknown-calls
// expect: held
// stopped-by: seccomp
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    char buffer[64];
    // ustat: as old as Unix, unused for decades, named by nobody. Of device 0 the kernel says EINVAL.
    if (syscall(SYS_ustat, 0, buffer) == 0 || errno != ENOSYS) printf("BREACHED: it says %s\n", strerror(errno));
    else puts("held: there is no such call");
}
