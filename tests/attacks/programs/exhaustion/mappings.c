// attack: maps memory in small pieces, with a hole after each
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
#include <sys/mman.h>

int main(void) {
    for (int i = 0; i < 16384; i++) {
        char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) break;
        munmap(page + 4096, 4096);
        *page = 1;
    }
    puts("BREACHED: 64 MiB");
}
