// attack: stops, and has a child that would wake it too late
// class: exhaustion/time
// expect: time limit
// stopped-by: wall-time
// outside: breached
// limits: wall_ms=1000
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <signal.h>

int main(void) {
    if (!fork()) {
        sleep(3);
        kill(getppid(), SIGCONT);
        _exit(0);
    }
    raise(SIGSTOP);
    puts("BREACHED: woken");
}
