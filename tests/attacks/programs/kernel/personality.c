// attack: makes all readable memory executable
// class: kernel/personality
// expect: held
// stopped-by: seccomp
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    long got = syscall(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */);
    if (got >= 0) puts("BREACHED: a personality was taken on");
    else printf("held: %s\n", strerror(errno));
}
