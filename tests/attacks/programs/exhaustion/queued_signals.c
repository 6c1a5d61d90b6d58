// attack: queues signals that nobody takes
// class: exhaustion/timers
// expect: held
// stopped-by: queued-signals
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>

int main(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    int queued = 0;
    while (queued < 3000 && sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0) queued++;
    if (queued == 3000) puts("BREACHED: 3000 signals");
    else printf("held: %s after %d\n", strerror(errno), queued);
}
