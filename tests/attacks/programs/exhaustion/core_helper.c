// attack: has the host start its handler of core dumps, outside of all limits
// class: exhaustion/crashes
// expect: held
// stopped-by: core-size
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/resource.h>

int main(void) {
    // Where core_pattern is a pipe the kernel starts the handler whatever the limit is, but for one: a single byte.
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    if (limit.rlim_cur != 1 || limit.rlim_max != 1) puts("BREACHED: a crash would start it");
    else puts("held: a limit of one byte");
}
