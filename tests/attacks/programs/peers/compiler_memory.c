// attack: is far larger for the compiler than it looks
// class: peers/compiler
// expect: compile error
// stopped-by: memory
// outside: breached
// step: compile
// limits: memory_mib=32
#include <stdio.h>
#define A 1, 1, 1, 1, 1, 1, 1, 1,
#define B A A A A A A A A
#define C B B B B B B B B
#define D C C C C C C C C
#define E D D D D D D D D
int table[] = {E E E E E E E E};

int main(void) {
    printf("BREACHED: compiled, %zu numbers\n", sizeof table / sizeof *table);
}
