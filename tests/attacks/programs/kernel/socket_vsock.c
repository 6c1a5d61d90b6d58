// attack: talks to the hypervisor
// class: kernel/sockets, peers/residual-channels
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
    int fd = socket(40, 1, 0);
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) puts("BREACHED: the kernel was asked for such a socket");
    else printf("held: %s\n", strerror(errno));
}
