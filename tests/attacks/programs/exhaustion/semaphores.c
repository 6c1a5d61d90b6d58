// attack: makes System V semaphores, which are memory of the kernel's
// class: exhaustion/kernel-memory, exhaustion/ipc
// expect: memory limit
// stopped-by: memory
// outside: breached
// limits: memory_mib=32
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>

int main(void) {
    int sets[32], made = 0;
    // 32 000 are the most of a set, each of 64 bytes.
    for (; made < 32; made++) {
        sets[made] = semget(IPC_PRIVATE, 32000, IPC_CREAT | 0600);
        if (sets[made] < 0) break;
    }
    if (made == 32) puts("BREACHED: a million semaphores");
    else printf("held: %s after %d\n", strerror(errno), made);
    while (made > 0) semctl(sets[--made], 0, IPC_RMID);
}
