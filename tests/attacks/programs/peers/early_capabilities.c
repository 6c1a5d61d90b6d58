// attack: looks whether any capability is left when the program begins
// class: peers/before-the-filter, kernel/privileges
// expect: held
// stopped-by: capabilities
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
    const char *sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    int left = 0;
    for (int i = 0; i < 5; i++) {
        char empty[40];
        snprintf(empty, sizeof empty, "\n%s:\t0000000000000000\n", sets[i]);
        if (!strstr(seen, empty)) printf("BREACHED: %s is not empty\n", sets[i]), left = 1;
    }
    if (!left) puts("held: no capability");
}
