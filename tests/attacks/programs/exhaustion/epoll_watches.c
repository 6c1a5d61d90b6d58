// attack: has each of many epoll instances watch each of many files, which costs the kernel memory for each pair
// class: exhaustion/kernel-memory, exhaustion/descriptors
// expect: memory limit
// stopped-by: memory
// outside: breached
// limits: memory_mib=32 open_files=2048 cpu_percent=0
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define MANY 600

int main(void) {
    int files[MANY];
    for (int i = 0; i < MANY; i++) files[i] = eventfd(0, 0);
    for (int i = 0; i < MANY; i++) {
        int watcher = epoll_create1(0);
        struct epoll_event event = {.events = EPOLLIN};
        for (int n = 0; n < MANY; n++) {
            if (epoll_ctl(watcher, EPOLL_CTL_ADD, files[n], &event)) {
                perror("held");
                return 0;
            }
        }
    }
    puts("BREACHED: 360 000 watches");
}
