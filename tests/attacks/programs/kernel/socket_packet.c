// attack: reads what passes on the wire
// class: kernel/sockets
// expect: held
// stopped-by: seccomp, capabilities, confined-service
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/socket.h>

int main(void) {
    int fd = socket(17, 2, 0);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) puts("BREACHED: the kernel was asked for such a socket");
    else printf("held: %s\n", strerror(errno));
}
