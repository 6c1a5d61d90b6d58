// attack: asks the service itself, over IPv6
// class: peers/host-services
// expect: held
// stopped-by: seccomp, network-namespace
// outside: breached
// input: port
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <stdlib.h>

int main(void) {
    int port;
    if (scanf("%d", &port) != 1) return 1;
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    // A host without ::1 is asked by its IPv4 address in the form of an IPv6 one.
    for (int mapped = 0; mapped < 2; mapped++) {
        inet_pton(AF_INET6, mapped ? "::ffff:127.0.0.1" : "::1", &to.sin6_addr);
        int fd = socket(AF_INET6, SOCK_STREAM, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0) {
            puts("BREACHED: it answers");
            return 0;
        }
    }
    printf("held: %s\n", strerror(errno));
}
