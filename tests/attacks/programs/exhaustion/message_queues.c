// attack: makes POSIX message queues until there are no more
// class: exhaustion/ipc
// expect: held
// stopped-by: message-queues
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <mqueue.h>

int main(void) {
    char name[20];
    int made = 0;
    for (; made < 5; made++) {
        snprintf(name, sizeof name, "/cmtest-%d", made);
        if (mq_open(name, O_CREAT | O_RDWR, 0600, NULL) == (mqd_t)-1) break;
        mq_unlink(name);
    }
    if (made == 5) puts("BREACHED: 5 queues");
    else printf("held: %s after %d\n", strerror(errno), made);
}
