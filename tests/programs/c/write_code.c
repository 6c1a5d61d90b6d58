#include <stdio.h>

int main(void) {
    puts(fopen("/code/x", "w") ? "allowed" : "refused");
    return 0;
}
