#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

/* Sleepers until one is refused; then success, failure or a signal, as STATUS says. */
int main(void) {
    for (int i = 0; i < 100000; i++) {
        pid_t child = fork();
        if (child < 0) {
            if (STATUS > 255)
                raise(SIGABRT);
            return STATUS;
        }
        if (child == 0) {
            pause();
            _exit(0);
        }
    }
    return 99;
}
