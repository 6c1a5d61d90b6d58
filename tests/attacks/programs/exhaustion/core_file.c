// attack: leaves a core file, or has the host handle one
// class: exhaustion/crashes
// expect: held
// stopped-by: core-size
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

int main(void) {
    if (!fork()) {
        chdir("/tmp");
        abort();
    }
    int status;
    wait(&status);
    puts(WCOREDUMP(status) ? "BREACHED: a core was dumped" : "held: no core");
}
