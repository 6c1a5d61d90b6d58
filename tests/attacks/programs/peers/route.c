// attack: looks for a way to a metadata service or to any other host
// class: peers/host-services
// expect: held
// stopped-by: seccomp, network-namespace
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>

int main(void) {
    // Connecting UDP only looks for a route: nothing is sent. Where there is no network at all, loopback has to do.
    const char *hosts[] = {"169.254.169.254", "10.0.0.1", "192.0.2.1", "127.0.0.1"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), found = 0;
    for (int i = 0; fd >= 0 && i < 4; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
        inet_pton(AF_INET, hosts[i], &to.sin_addr);
        struct ifreq loopback = {.ifr_name = "lo"};
        int up = ioctl(fd, SIOCGIFFLAGS, &loopback) == 0 && loopback.ifr_flags & IFF_UP;
        if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 && (i < 3 || (up && !access("/proc/net/tcp", R_OK) && 0))) found = 1;
    }
    if (found) puts("BREACHED: there is a route");
    else printf("held: %s\n", strerror(errno));
}
