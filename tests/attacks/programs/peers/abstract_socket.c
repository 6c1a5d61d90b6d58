// attack: talks to a service of the host that listens on an abstract socket
// class: peers/host-services, peers/residual-channels
// expect: held
// stopped-by: network-namespace
// outside: breached
// input: port
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(void) {
    int port;
    if (scanf("%d", &port) != 1) return 1;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path + 1, sizeof to.sun_path - 1, "cmtest-bait-%d", port);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof(sa_family_t) + 1 + strlen(to.sun_path + 1)) == 0) puts("BREACHED: it answers");
    else printf("held: %s\n", strerror(errno));
}
