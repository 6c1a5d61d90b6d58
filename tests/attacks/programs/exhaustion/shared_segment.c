// attack: puts memory into System V segments
// class: exhaustion/shared-memory, exhaustion/ipc
// expect: memory limit
// stopped-by: memory
// outside: breached
// limits: memory_mib=32
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ipc.h>
#include <sys/shm.h>

int main(void) {
    for (int i = 0; i < 8; i++) {
        int id = shmget(IPC_PRIVATE, 8 << 20, IPC_CREAT | 0600);
        char *memory = shmat(id, NULL, 0);
        shmctl(id, IPC_RMID, NULL);
        memset(memory, 1, 8 << 20);
    }
    puts("BREACHED: 64 MiB");
}
