// attack: makes timers until there are no more
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
#include <time.h>

int main(void) {
    int made = 0;
    for (timer_t timer; made < 3000 && timer_create(CLOCK_MONOTONIC, NULL, &timer) == 0; made++);
    if (made == 3000) puts("BREACHED: 3000 timers");
    else printf("held: %s after %d\n", strerror(errno), made);
}
