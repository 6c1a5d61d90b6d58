#include <string.h>
static char big[2ul << 30];
int main(void) {
    for (unsigned long i = 0; i < sizeof big; i += 4096)
        big[i] = 1;
    return big[4096] - 1;
}
