// attack: makes files until there are no more
// class: exhaustion/files
// expect: held
// stopped-by: tmp-inodes
// outside: breached
// limits: tmp_inodes=1000
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

int main(void) {
    char name[40];
    int made = 0;
    for (; made < 3000; made++) {
        snprintf(name, sizeof name, "/tmp/%d", made);
        int fd = open(name, O_CREAT | O_WRONLY, 0600);
        if (fd < 0) break;
        close(fd);
    }
    if (made == 3000) puts("BREACHED: 3000 files");
    else printf("held: %s after %d\n", strerror(errno), made);
}
