// attack: reports by itself how it ended
// class: runtime/init, runtime/descriptors, peers/silent-limits
// expect: held
// stopped-by: closed-report
// outside: not run, there is no report outside
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    // An empty write says whether there is a pipe and changes nothing of what it carries.
    if (write(3, "", 0) == 0) puts("BREACHED: the report could be forged");
    else printf("held: %s\n", strerror(errno));
}
