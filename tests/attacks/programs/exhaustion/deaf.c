// attack: hears no signal that may be ignored
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
    for (int i = 1; i < 65; i++) signal(i, SIG_IGN);
    for (int i = 0; i < 30; i++) usleep(100000);
    puts("BREACHED: still there");
}
