// attack: has the assembler copy a file of the host into the program
// class: peers/compiler, leaks/host-files
// expect: held
// stopped-by: own-root
// outside: not run, the compiler outside is in the image too
// step: compile
#include <stdio.h>
#include <string.h>

__asm__(".data\naccounts: .incbin \"/etc/passwd\"\n.byte 0\n");
extern char accounts[];

int main(void) {
    // The image knows root, job and nobody.
    int lines = 0;
    for (char *c = accounts; *c; c++) lines += *c == '\n';
    if (lines > 3) printf("BREACHED: %d accounts\n", lines);
    else puts("held: the accounts of the image");
}
