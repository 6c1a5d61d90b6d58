// attack: reads shared memory of other processes of the machine
// class: peers/residual-channels, exhaustion/ipc
// expect: held
// stopped-by: ipc-namespace
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#define _GNU_SOURCE 1
#define __USE_MISC
#define __USE_GNU
#include <sys/ipc.h>
#include <sys/shm.h>

int main(void) {
    struct shmid_ds info;
    int top = shmctl(0, 14 /* SHM_INFO */, &info), read = 0;
    for (int i = 0; i <= top; i++) {
        int id = shmctl(i, 15 /* SHM_STAT_ANY */, &info);
        if (id >= 0 && shmat(id, NULL, SHM_RDONLY) != (void *)-1) read++;
    }
    if (read) printf("BREACHED: %d segments of others\n", read);
    else puts("held: there is none");
}
