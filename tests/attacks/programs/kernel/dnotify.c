// attack: watches a directory in the old way, by fcntl, also with high bits set
// class: kernel/watching-files
// expect: held
// stopped-by: seccomp
// outside: breached
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    int directory = open("/etc", O_RDONLY | O_DIRECTORY);
    if (directory < 0) return 1;
    for (unsigned long high = 0; high < 2; high++) {
        if (syscall(SYS_fcntl, directory, F_NOTIFY | high << 32, DN_ACCESS | DN_MULTISHOT) >= 0) {
            puts("BREACHED: a directory is watched");
            return 0;
        }
    }
    printf("held: %s\n", strerror(errno));
}
