// attack: makes a directory in a directory, and so on
// class: exhaustion/files, peers/symlink
// expect: held
// stopped-by: tmp-inodes
// outside: breached
// limits: tmp_inodes=1000
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

int main(void) {
    char name[256];
    memset(name, 'd', 255);
    name[255] = 0;
    int made = 0;
    for (chdir("/tmp"); made < 3000 && mkdir(name, 0700) == 0 && chdir(name) == 0; made++);
    if (made == 3000) puts("BREACHED: 3000 deep");
    else printf("held: %s at %d\n", strerror(errno), made);
}
