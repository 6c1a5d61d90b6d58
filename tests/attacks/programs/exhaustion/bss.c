// attack: touches memory that the program has from the start
// class: exhaustion/memory
// expect: memory limit
// stopped-by: memory
// outside: breached
// limits: memory_mib=32
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char big[64 << 20];

int main(void) {
    for (size_t i = 0; i < sizeof big; i += 4096) big[i] = 1;
    puts("BREACHED: 64 MiB");
}
