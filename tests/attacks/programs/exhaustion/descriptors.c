// attack: opens files until there are no more
// class: exhaustion/descriptors
// expect: held
// stopped-by: open-files
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

int main(void) {
    int opened = 0;
    while (opened < 600 && open("/dev/null", O_RDONLY) >= 0) opened++;
    if (opened == 600) puts("BREACHED: 600 files");
    else printf("held: %s after %d\n", strerror(errno), opened);
}
