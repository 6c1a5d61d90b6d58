// attack: takes from the one pool of asynchronous input and output that the machine has
// class: peers/residual-channels
// expect: held
// stopped-by: seccomp
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    unsigned long context = 0;
    long got = syscall(SYS_io_setup, 1, &context);
    if (got >= 0) puts("BREACHED: a context was made");
    else printf("held: %s\n", strerror(errno));
}
