// attack: puts memory into files without a name
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
#include <sys/mman.h>
#include <sys/syscall.h>

int main(void) {
    for (int i = 0; i < 8; i++) {
        int fd = syscall(SYS_memfd_create, "x", 0);
        if (ftruncate(fd, 8 << 20)) return 1;
        memset(mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), 1, 8 << 20);
        munmap(NULL, 8 << 20);
    }
    puts("BREACHED: 64 MiB");
}
