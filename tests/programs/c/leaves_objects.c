// Says what it finds of another one like it, and leaves one of everything that has a name outside of every directory, or in
// one that is there for all programs, and a process that goes on.
#include <fcntl.h>
#include <mqueue.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME 0x636d7466

static int found;

static void look(const char *what, int there) {
    if (!there) return;
    printf("%s ", what);
    found = 1;
}

int main(void) {
    struct sockaddr_un address = {AF_UNIX, "\0cmtest-left"};
    int socket_ = socket(AF_UNIX, SOCK_STREAM, 0);
    look("queue", msgget(NAME, IPC_CREAT | IPC_EXCL | 0666) < 0);
    look("segment", shmget(NAME, 4096, IPC_CREAT | IPC_EXCL | 0666) < 0);
    look("semaphore", semget(NAME, 1, IPC_CREAT | IPC_EXCL | 0666) < 0);
    look("posix-queue", mq_open("/cmtest-left", O_CREAT | O_EXCL | O_RDWR, 0666, NULL) == (mqd_t)-1);
    look("tmp", open("/tmp/cmtest-left", O_CREAT | O_EXCL | O_RDWR, 0666) < 0);
    look("shm", open("/dev/shm/cmtest-left", O_CREAT | O_EXCL | O_RDWR, 0666) < 0);
    look("socket", bind(socket_, (struct sockaddr *)&address, offsetof(struct sockaddr_un, sun_path) + 12) < 0);
    puts(found ? "found" : "nothing");
    fflush(stdout);
    if (!fork()) {
        setsid();
        for (;;) pause();
    }
}
