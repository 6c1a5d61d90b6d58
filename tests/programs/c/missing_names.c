// Looks for files that are not there, by long names, in a directory of the image: the kernel remembers each of them.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    char path[256];
    memset(path, 'n', sizeof path);
    for (int i = 0; i < 200000; i++) {
        snprintf(path, sizeof path, "/usr/lib/%0230d", i);
        if (access(path, F_OK) == 0) return 1;
    }
    puts("looked");
}
