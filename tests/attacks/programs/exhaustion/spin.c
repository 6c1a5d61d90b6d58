// attack: uses a whole processor all the time
// class: exhaustion/processor
// expect: held
// stopped-by: cpu-share
// outside: breached
// limits: cpu_percent=1
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <time.h>

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

int main(void) {
    double began = now(CLOCK_MONOTONIC), used = 0;
    while (now(CLOCK_MONOTONIC) < began + 8 && used < 0.2) used = now(CLOCK_PROCESS_CPUTIME_ID);
    // A hundredth of eight seconds, and a little at each end. So small a share is less than a busy machine gives, too.
    if (used >= 0.2) printf("BREACHED: %.2f s\n", used);
    else printf("held: %.2f s of 8 s\n", used);
}
