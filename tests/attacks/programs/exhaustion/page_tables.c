// attack: touches one page of every two megabytes, so that the tables of pages grow
// class: exhaustion/memory
// expect: memory limit
// stopped-by: memory
// outside: breached
// limits: memory_mib=48
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

int main(void) {
    for (int i = 0; i < 8192; i++) {
        char *two = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (two == MAP_FAILED) break;
        madvise(two, 2 << 20, 15 /* MADV_NOHUGEPAGE */);
        two[4096] = 1;
    }
    puts("BREACHED: 32 MiB and as much in tables");
}
