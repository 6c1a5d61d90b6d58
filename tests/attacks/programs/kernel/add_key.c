// attack: puts a key where another job may find it
// class: kernel/keyrings, peers/residual-channels
// expect: held
// stopped-by: seccomp, confined-service
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    long got = syscall(SYS_add_key, "user", "cmtest", "x", 1, -3 /* session keyring */);
    if (got >= 0) puts("BREACHED: a key was added");
    else printf("held: %s\n", strerror(errno));
}
