#include <sys/resource.h>

/* SIGXCPU after the second of processor time that it allows itself. */
int main(void) {
    struct rlimit one = {1, 5};
    setrlimit(RLIMIT_CPU, &one);
    for (volatile int i = 0;; i++)
        ;
}
