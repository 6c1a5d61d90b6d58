// attack: reads what process 1 knows
// class: runtime/init
// expect: held
// stopped-by: hidden-init
// outside: not run, process 1 of a host is not for us to look into
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>

int main(void) {
    char seen[64];
    int fd = open("/proc/1/environ", O_RDONLY);
    if (fd >= 0 && read(fd, seen, sizeof seen) > 0) puts("BREACHED: process 1 was read");
    else printf("held: %s\n", strerror(errno));
}
