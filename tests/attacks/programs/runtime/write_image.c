// attack: writes to the image that all jobs share
// class: runtime/rootfs
// expect: held
// stopped-by: read-only-root, protected-image
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>

int main(void) {
    int fd = open("/planted", O_CREAT | O_WRONLY, 0755);
    if (fd >= 0) puts("BREACHED: the next job finds this file");
    else printf("held: %s\n", strerror(errno));
}
