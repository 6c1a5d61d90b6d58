// attack: reads the accounts of the host, and its machine id
// class: leaks/host-files
// expect: held
// stopped-by: own-root
// outside: breached on the host
#include <stdio.h>
#include <unistd.h>

int main(void) {
    int lines = 0;
    FILE *file = fopen("/etc/passwd", "r");
    for (int c; file && (c = getc(file)) != EOF;) lines += c == '\n';
    // The image knows root, job and nobody.
    if (lines > 3 || access("/etc/machine-id", F_OK) == 0) printf("BREACHED: %d accounts\n", lines);
    else puts("held: the accounts of the image");
}
