// attack: looks whether set-user-id programs still count when the program begins
// class: peers/before-the-filter, kernel/privileges
// expect: held
// stopped-by: no-new-privileges, confined-service
// outside: breached
#include <stdio.h>
#include <string.h>

static char seen[8192];

// Before anything of libc's, and before main.
static void first(void) {
    FILE *file = fopen("/proc/self/status", "r");
    if (file) fread(seen, 1, sizeof seen - 1, file);
}
__attribute__((section(".preinit_array"), used)) static void (*early)(void) = first;

int main(void) {
    puts(strstr(seen, "\nNoNewPrivs:\t1\n") ? "held: no new privileges" : "BREACHED: privileges may be gained");
}
