// attack: puts memory into files in /tmp and /dev/shm
// class: exhaustion/shared-memory
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
    memset(block, 1, sizeof block);
    for (int i = 0; i < 32; i++) {
        int one = open("/tmp/file", O_CREAT | O_WRONLY | O_APPEND, 0600), two = open("/dev/shm/cmtest", O_CREAT | O_WRONLY | O_APPEND, 0600);
        if (write(one, block, sizeof block) < 0 || write(two, block, sizeof block) < 0) return 1;
        close(one), close(two);
    }
    unlink("/dev/shm/cmtest");
    puts("BREACHED: 64 MiB");
}
