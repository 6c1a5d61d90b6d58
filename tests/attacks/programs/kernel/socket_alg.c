// attack: asks the kernel to encrypt, which has written into files that are shared (CVE-2026-31431)
// class: kernel/sockets
// expect: held
// stopped-by: seccomp, confined-service
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/socket.h>

int main(void) {
    int fd = socket(38, 5, 0);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) puts("BREACHED: the kernel was asked for such a socket");
    else printf("held: %s\n", strerror(errno));
}
