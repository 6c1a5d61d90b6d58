// attack: lets a child run out of memory and goes on itself
// class: exhaustion/memory, peers/silent-limits
// expect: memory limit
// stopped-by: memory
// outside: breached
// limits: memory_mib=32
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>

int main(void) {
    if (!fork()) {
        for (int i = 0; i < 64; i++) memset(malloc(1 << 20), 1, 1 << 20);
        _exit(0);
    }
    int status;
    wait(&status);
    sleep(1);
    puts("BREACHED: alive, and nobody noticed");
}
