#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Ends, and at that moment sixty children begin to spin. */
int main(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, 0);
    for (int i = 0; i < 60; i++)
        if (!fork()) {
            int signal;
            prctl(PR_SET_PDEATHSIG, SIGUSR1);
            sigwait(&set, &signal);
            for (;;)
                ;
        }
    usleep(200000);
    puts("parent");
    return 0;
}
