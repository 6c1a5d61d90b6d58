// attack: leaves dead processes that nobody waits for
// class: exhaustion/processes
// expect: held
// stopped-by: pids
// outside: breached
// limits: pids=16
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    int made = 0;
    for (; made < 100; made++) {
        pid_t child = fork();
        if (child < 0) break;
        if (!child) _exit(0);
    }
    if (made == 100) puts("BREACHED: 100 of the dead");
    else printf("held: %s after %d\n", strerror(errno), made);
}
