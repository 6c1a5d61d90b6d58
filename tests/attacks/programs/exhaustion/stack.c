// attack: calls itself until the stack is full
// class: exhaustion/memory
// expect: signal 11
// stopped-by: stack
// outside: breached
// limits: stack_mib=4
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int deeper(int n) {
    volatile char frame[4096];
    frame[0] = (char)n;
    return n ? deeper(n - 1) + frame[0] : frame[0];
}

int main(void) {
    deeper(4096);
    puts("BREACHED: 16 MiB of stack");
}
