// attack: makes epoll instances until there are no more
// class: exhaustion/descriptors
// expect: held
// stopped-by: open-files
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

int main(void) {
    int made = 0;
    while (made < 600 && epoll_create1(0) >= 0) made++;
    if (made == 600) puts("BREACHED: 600 instances");
    else printf("held: %s after %d\n", strerror(errno), made);
}
