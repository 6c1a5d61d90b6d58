#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 60 MiB in /tmp and 60 MiB of heap, held until somebody ends it. */
int main(void) {
    char *heap = malloc(60 << 20);
    int fd = open("/tmp/file", O_CREAT | O_WRONLY, 0600);
    memset(heap, 1, 60 << 20);
    for (int i = 0; i < 60; i++)
        if (write(fd, heap, 1 << 20) != 1 << 20)
            return 1;
    sleep(60);
    return heap[7];
}
