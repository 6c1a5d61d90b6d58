// attack: makes the compiler write a huge program
// class: peers/compiler, exhaustion/files
// expect: compile error
// stopped-by: file-size, tmp-size
// outside: breached
// step: compile
#include <stdio.h>
char huge[70 << 20] = {1};

int main(void) {
    printf("BREACHED: written, %zu bytes\n", sizeof huge);
}
