// attack: puts files among the devices
// class: runtime/fresh-mounts
// expect: held
// stopped-by: unprivileged-user
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>

int main(void) {
    int fd = open("/dev/planted", O_CREAT | O_WRONLY, 0666);
    if (fd >= 0) puts("BREACHED: a file in /dev"), unlink("/dev/planted");
    else printf("held: %s\n", strerror(errno));
}
