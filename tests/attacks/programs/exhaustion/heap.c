// attack: fills the heap
// class: exhaustion/memory, peers/silent-limits
// expect: memory limit
// stopped-by: memory
// outside: breached
// limits: memory_mib=32
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    for (int i = 0; i < 64; i++) memset(malloc(1 << 20), 1, 1 << 20);
    puts("BREACHED: 64 MiB");
}
