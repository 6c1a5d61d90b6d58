// attack: asks for an io_uring, a second way into the kernel that passes by the filter
// class: kernel/io-uring
// expect: held
// stopped-by: seccomp, confined-service
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    char params[120] = {0};
    long fd = syscall(SYS_io_uring_setup, 4, params);
    if (fd >= 0) puts("BREACHED: an io_uring was made");
    else printf("held: %s\n", strerror(errno));
}
