// attack: puts something else in the place of its own program
// class: peers/symlink, peers/text-busy
// expect: held
// stopped-by: read-only-code
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    int done = rename("/code/solution", "/code/other") == 0;
    if (done) puts("BREACHED: the program is another one now");
    else printf("held: %s\n", strerror(errno));
}
