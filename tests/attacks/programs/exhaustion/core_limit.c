// attack: asks for no core files at all, which has the host start its handler of core dumps
// class: exhaustion/crashes
// expect: held
// stopped-by: seccomp
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>

int main(void) {
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) == 0) puts("BREACHED: a crash would start it");
    else printf("held: %s\n", strerror(errno));
}
