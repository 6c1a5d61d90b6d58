// attack: makes a System V queue, segment and semaphore under names that another job knows, which finds them
// class: peers/residual-channels, exhaustion/ipc
// expect: held
// stopped-by: ipc-namespace
// outside: not run, one alone finds nothing
// copies: 2
#include <stdio.h>
#include <unistd.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define NAME 0x636d7465

int main(void) {
    // Two of these run at the same time.
    int queue = msgget(NAME, IPC_CREAT | IPC_EXCL | 0666);
    int segment = shmget(NAME, 4096, IPC_CREAT | IPC_EXCL | 0666);
    int semaphore = semget(NAME, 1, IPC_CREAT | IPC_EXCL | 0666);
    if (queue < 0 || segment < 0 || semaphore < 0) {
        printf("BREACHED: somebody else has left%s%s%s\n", queue < 0 ? " a queue" : "", segment < 0 ? " a segment" : "", semaphore < 0 ? " a semaphore" : "");
    } else {
        sleep(3);
        puts("held: nobody else has any");
    }
    if (queue >= 0) msgctl(queue, IPC_RMID, NULL);
    if (segment >= 0) shmctl(segment, IPC_RMID, NULL);
    if (semaphore >= 0) semctl(semaphore, 0, IPC_RMID);
}
