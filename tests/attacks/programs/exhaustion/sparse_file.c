// attack: makes a file that is larger than any disk
// class: exhaustion/files
// expect: held
// stopped-by: file-size
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <signal.h>

int main(void) {
    signal(SIGXFSZ, SIG_IGN);
    int fd = open("/tmp/sparse", O_CREAT | O_WRONLY, 0600);
    if (ftruncate(fd, 1 << 30) == 0) puts("BREACHED: 1 GiB");
    else printf("held: %s\n", strerror(errno));
}
