// attack: takes all the room in pipes that its user may have, which starves whoever has the same user
// class: peers/one-uid, exhaustion/kernel-memory
// expect: held
// stopped-by: own-ids
// outside: not run, one alone starves nobody
// copies: 2
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

int main(void) {
    // pipe-user-pages-soft: 64 pipes of this size for each user of the host. Two of these run at the same time.
    int full = 0;
    for (int i = 0; i < 60; i++) {
        int ends[2];
        if (pipe(ends)) return 1;
        full += fcntl(ends[1], 1031 /* F_SETPIPE_SZ */, 1 << 20) >= 1 << 20;
    }
    sleep(3);
    if (full < 60) printf("BREACHED: somebody else left only %d of 60\n", full);
    else puts("held: all 60");
}
