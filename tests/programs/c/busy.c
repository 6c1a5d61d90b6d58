#include <stdio.h>
#include <time.h>

// Processor seconds that three seconds of spinning get.
int main(void) {
    time_t end = time(NULL) + 3;
    while (time(NULL) < end)
        ;
    printf("%f\n", (double)clock() / CLOCKS_PER_SEC);
    return 0;
}
