// attack: makes threads until there are no more
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
#include <pthread.h>

static void *wait_for_ever(void *nothing) {
    for (;;) pause();
    return nothing;
}

int main(void) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    int made = 0;
    for (pthread_t thread; made < 100 && !pthread_create(&thread, &small, wait_for_ever, NULL); made++);
    if (made == 100) puts("BREACHED: 100 threads");
    else printf("held: no more after %d\n", made);
}
