// attack: computes in one child after another, none of them for long
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
#include <sys/wait.h>
#include <time.h>

int main(void) {
    for (int i = 0; i < 10; i++) {
        if (!fork()) {
            while (clock() < 0.14 * CLOCKS_PER_SEC);
            _exit(0);
        }
        wait(NULL);
    }
    puts("BREACHED: 1.4 s of processor time");
}
