// attack: locks a file of the image, which another job then finds locked
// class: peers/residual-channels
// expect: held
// stopped-by: own-inodes
// outside: not run, one alone locks nobody out
// copies: 2
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/file.h>

int main(void) {
    // Two of these run at the same time.
    int fd = open("/etc/passwd", O_RDONLY);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        printf("BREACHED: %s, because somebody else has it\n", strerror(errno));
        return 0;
    }
    sleep(3);
    puts("held: nobody else had it");
}
