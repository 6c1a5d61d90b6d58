// attack: makes processes until there are no more
// class: exhaustion/processes, peers/silent-limits
// expect: held
// stopped-by: pids
// outside: breached
// limits: pids=16
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>
#include <sys/wait.h>

int main(void) {
    int made = 0;
    for (; made < 100; made++) {
        pid_t child = fork();
        if (child < 0) break;
        if (!child) for (;;) pause();
    }
    if (made == 100) puts("BREACHED: 100 processes");
    else printf("held: %s after %d\n", strerror(errno), made);
    fflush(stdout);
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
}
