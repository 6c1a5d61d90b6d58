// attack: keeps the compiler busy for longer than it has
// class: peers/compiler
// expect: compile time limit
// stopped-by: wall-time
// outside: breached
// step: compile
// limits: wall_ms=100
#include <stdio.h>
#define A(x) x + x + x + x + x + x + x + x
#define B(x) A(A(A(A(x))))
#define C B(A(1))
#define D C, C, C, C, C, C, C, C
int table[] = {D, D, D, D, D, D, D, D};

int main(void) {
    printf("BREACHED: compiled, %d\n", table[0]);
}
