// attack: looks for an open file that somebody forgot to close
// class: runtime/descriptors
// expect: held
// stopped-by: closed-descriptors
// outside: not run, what is open outside is up to whoever starts it
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>

int main(void) {
    int open = 0;
    for (int fd = 4; fd < 4096; fd++) open += fcntl(fd, F_GETFD) != -1;
    if (open) printf("BREACHED: %d open files\n", open);
    else puts("held: none");
}
