// attack: fills files that have no name any more
// class: exhaustion/files
// expect: held
// stopped-by: tmp-size
// outside: breached
// limits: tmp_mib=16
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

static char block[1 << 20];

int main(void) {
    memset(block, 1, sizeof block);
    int written = 0;
    for (; written < 32; written++) {
        int fd = open("/tmp/gone", O_CREAT | O_WRONLY, 0600);
        unlink("/tmp/gone");
        if (write(fd, block, sizeof block) != sizeof block) break;
    }
    if (written == 32) puts("BREACHED: 32 MiB");
    else printf("held: %s after %d MiB\n", strerror(errno), written);
}
