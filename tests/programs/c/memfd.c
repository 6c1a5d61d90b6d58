#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* 200 MiB in files that have no name and are mapped nowhere, each below the largest size of a file. */
int main(void) {
    char *block = calloc(1, 1 << 20);
    int fd = -1;
    for (int i = 0; i < 200; i++) {
        if (i % 60 == 0)
            fd = memfd_create("m", 0);
        if (write(fd, block, 1 << 20) != 1 << 20)
            return 2;
    }
    return 3;
}
