// attack: puts a page of a file that all jobs share into a pipe, where Dirty Pipe (CVE-2022-0847) wrote into it
// class: kernel/pages-in-pipes
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
    int ends[2], file = open("/etc/passwd", O_RDONLY);
    if (file < 0 || pipe(ends)) return 1;
    if (splice(file, NULL, ends[1], NULL, 1, 0) == 1) puts("BREACHED: a page of the file is in the pipe");
    else printf("held: %s\n", strerror(errno));
}
