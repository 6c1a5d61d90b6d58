// attack: writes one huge file
// class: exhaustion/files
// expect: held
// stopped-by: file-size, tmp-size
// outside: breached
// limits: file_mib=16 tmp_mib=16
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <signal.h>

static char block[1 << 20];

int main(void) {
    signal(SIGXFSZ, SIG_IGN);
    memset(block, 1, sizeof block);
    int fd = open("/tmp/huge", O_CREAT | O_WRONLY, 0600), written = 0;
    while (written < 32 && write(fd, block, sizeof block) == sizeof block) written++;
    if (written == 32) puts("BREACHED: 32 MiB");
    else printf("held: %s after %d MiB\n", strerror(errno), written);
}
