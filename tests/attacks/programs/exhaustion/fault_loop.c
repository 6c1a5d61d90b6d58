// attack: comes back from its handler of segmentation faults to the place of the fault, again and again
// class: exhaustion/crashes
// expect: time limit
// stopped-by: wall-time
// outside: breached
// limits: wall_ms=1000
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static time_t end;

static void again(int signal) {
    if (time(NULL) < end) return;
    puts("BREACHED: 3 seconds of faults");
    fflush(stdout);
    _exit(0);
}

int main(void) {
    end = time(NULL) + 3;
    signal(SIGSEGV, again);
    *(volatile int *)8 = 1;
}
