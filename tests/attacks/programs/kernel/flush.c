// attack: has the kernel write out a whole file system; with another directory it would be one of the host
// class: kernel/flushing
// expect: held
// stopped-by: seccomp
// outside: breached
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    int directory = open("/tmp", O_RDONLY | O_DIRECTORY);
    if (directory < 0) return 1;
    if (syncfs(directory) == 0) puts("BREACHED: a file system was written out");
    else printf("held: %s\n", strerror(errno));
}
