// attack: reads which ids of the host the service has
// class: leaks/ids, peers/one-uid
// expect: held
// stopped-by: user-namespace
// outside: breached
#include <stdio.h>

int main(void) {
    unsigned inside, outside, count, all = 0;
    FILE *map = fopen("/proc/self/uid_map", "r");
    while (map && fscanf(map, "%u %u %u", &inside, &outside, &count) == 3) all += count;
    if (all > 2) printf("BREACHED: %u ids\n", all);
    else printf("held: %u ids of its own\n", all);
}
