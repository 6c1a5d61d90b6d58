// attack: reads what /proc tells of the host: keys, interrupts, symbols
// class: leaks/proc
// expect: held
// stopped-by: proc-of-processes
// outside: breached
#include <stdio.h>

int main(void) {
    const char *paths[] = {"/proc/interrupts", "/proc/key-users", "/proc/keys", "/proc/kallsyms", "/proc/sched_debug"};
    int read = 0;
    for (int i = 0; i < 5; i++) {
        FILE *file = fopen(paths[i], "r");
        if (file && getc(file) != EOF) read++;
    }
    if (read) printf("BREACHED: %d files\n", read);
    else puts("held: nothing in them");
}
