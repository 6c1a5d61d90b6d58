// attack: computes for longer than it may, deaf to SIGXCPU
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
#include <signal.h>
#include <time.h>

int main(void) {
    signal(SIGXCPU, SIG_IGN);
    while (clock() < 1.4 * CLOCKS_PER_SEC);
    puts("BREACHED: 1.4 s of processor time");
}
