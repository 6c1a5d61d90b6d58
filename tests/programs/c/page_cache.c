#define _GNU_SOURCE
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

static unsigned long total;

static int one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    static char block[1 << 16];
    (void)at;
    if (kind != FTW_F || !S_ISREG(st->st_mode))
        return 0;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    /* So that it is read, and counted, here, whoever has read it before. */
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    for (ssize_t n; (n = read(fd, block, sizeof block)) > 0;)
        total += n;
    close(fd);
    return total >= 1ul << 30;
}

int main(void) {
    while (total < 1ul << 30)
        if (nftw("/usr", one, 16, FTW_PHYS) < 0)
            return 1;
    puts("read");
    return 0;
}
