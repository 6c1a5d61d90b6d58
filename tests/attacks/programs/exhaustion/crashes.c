// attack: has child after child die of a segmentation fault, each of which the kernel may log and dump
// class: exhaustion/crashes
// expect: time limit
// stopped-by: wall-time
// outside: breached
// limits: wall_ms=1000
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>
#include <time.h>

int main(void) {
    time_t end = time(NULL) + 3;
    int crashes = 0, status;
    for (chdir("/tmp"); time(NULL) < end; crashes++) {
        if (!fork()) *(volatile int *)8 = 1;
        wait(&status);
        if (WCOREDUMP(status)) {
            puts("BREACHED: a core was dumped");
            return 0;
        }
    }
    printf("BREACHED: %d crashes\n", crashes);
}
