// attack: takes the open files of process 1 away from it
// class: runtime/init
// expect: held
// stopped-by: seccomp
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/resource.h>

int main(void) {
    struct rlimit seen;
    if (syscall(SYS_prlimit64, 1, RLIMIT_NOFILE, NULL, &seen) == 0) puts("BREACHED: limits of process 1 can be set");
    else printf("held: %s\n", strerror(errno));
}
