// attack: computes in many threads
// class: exhaustion/processor
// expect: cpu limit
// stopped-by: cpu-time
// outside: breached
// limits: cpu_seconds=1 cpu_percent=0 wall_ms=120000
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <pthread.h>
#include <time.h>

static void *spin(void *nothing) {
    while (clock() < 1.4 * CLOCKS_PER_SEC);
    return nothing;
}

int main(void) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, spin, NULL);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    puts("BREACHED: 1.4 s of processor time");
}
