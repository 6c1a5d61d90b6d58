#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    int n = 0, pids[500];
    while (n < 500) {
        int pid = fork();
        if (pid < 0)
            break;
        if (pid == 0)
            for (;;)
                pause();
        pids[n++] = pid;
    }
    printf("%d\n", n);
    fflush(stdout);
    for (int i = 0; i < n; i++)
        kill(pids[i], SIGKILL);
    return 0;
}
