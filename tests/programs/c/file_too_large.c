#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* One byte beyond the 64 MiB that a file may have; the file is sparse, so that no other limit is near. */
int main(void) {
    int fd = open("/tmp/large", O_CREAT | O_WRONLY, 0600);
    if (fd < 0 || lseek(fd, 64 << 20, SEEK_SET) < 0) {
        perror("/tmp/large");
        return 1;
    }
    write(fd, "x", 1);
    return 2;
}
