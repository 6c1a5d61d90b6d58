// attack: holds the program open for writing, so that nobody can start it
// class: peers/text-busy
// expect: held
// stopped-by: read-only-code
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

int main(int argc, char **argv) {
    if (argc > 1) return 0;
    int from = open("/code/solution", O_RDONLY), to = open("/code/again", O_CREAT | O_RDWR, 0755);
    struct stat info;
    fstat(from, &info);
    if (to < 0) {
        printf("held: %s\n", strerror(errno));
        return 0;
    }
    sendfile(to, from, NULL, info.st_size);
    execl("/code/again", "again", "again", NULL);
    if (errno == ETXTBSY) puts("BREACHED: a program in /code cannot be started");
    else printf("held: %s\n", strerror(errno));
}
