// attack: sends open files into a socket and opens more
// class: exhaustion/descriptors
// expect: held
// stopped-by: open-files
// outside: not run, root outside may have any number in flight, which says nothing of others
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

int main(void) {
    int pair[2], sent = 0;
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)) return 1;
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    for (; sent < 600; sent++) {
        union { char space[CMSG_SPACE(sizeof(int))]; struct cmsghdr head; } control = {0};
        struct iovec one = {"x", 1};
        struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        int fd = open("/dev/null", O_RDONLY);
        control.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
        if (fd < 0 || sendmsg(pair[0], &message, 0) < 0) {
            // A full socket is not the limit that is meant.
            if (errno != EAGAIN || socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)) break;
            fcntl(pair[0], F_SETFL, O_NONBLOCK);
        }
        close(fd);
    }
    if (sent == 600) puts("BREACHED: 600 files in flight");
    else printf("held: %s after %d\n", strerror(errno), sent);
}
