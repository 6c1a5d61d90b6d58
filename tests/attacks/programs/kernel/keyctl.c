// attack: makes a session keyring of its own
// class: kernel/keyrings
// expect: held
// stopped-by: seccomp, confined-service
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    long got = syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
    if (got >= 0) puts("BREACHED: a keyring was joined");
    else printf("held: %s\n", strerror(errno));
}
