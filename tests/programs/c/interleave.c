#include <stdio.h>

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 4096);
    for (int n = 0; n < 500; n++) {
        printf("out %d\n", n);
        fprintf(stderr, "err %d\n", n);
    }
    return 0;
}
