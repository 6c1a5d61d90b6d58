// attack: opens a device file in a directory that it may write to
// class: runtime/fresh-mounts
// expect: held
// stopped-by: nodev, fresh-tmp
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/stat.h>

int main(void) {
    // Device 0:0 is the one that anybody may make. No driver answers for it: ENXIO says that one was asked.
    mknod("/tmp/device", S_IFCHR | 0666, 0);
    int fd = open("/tmp/device", O_RDONLY);
    if (fd >= 0 || errno == ENXIO) puts("BREACHED: devices can be opened here");
    else printf("held: %s\n", strerror(errno));
}
