// attack: writes to files of its own in /proc that count for the whole machine: sessions, and the rate of autogroup
// class: peers/residual-channels, leaks/proc
// expect: held
// stopped-by: read-only-proc
// outside: breached
#include <fcntl.h>
#include <stdio.h>

int main(void) {
    const char *files[] = {"/proc/self/autogroup", "/proc/self/loginuid", "/proc/self/comm"};
    int open_for_writing = 0;
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        if (open(files[i], O_WRONLY) >= 0) {
            printf("BREACHED: %s can be written\n", files[i]);
            open_for_writing++;
        }
    if (!open_for_writing) puts("held: none can be written");
}
