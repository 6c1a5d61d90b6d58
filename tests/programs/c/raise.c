#include <signal.h>
#include <stdio.h>

int main(void) {
    puts("before");
    fflush(stdout);
    raise(SIGNAL);
    puts("after");
    return 0;
}
