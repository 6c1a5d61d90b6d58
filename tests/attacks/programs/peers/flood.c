// attack: prints more than a pipe holds and more than is kept
// class: peers/output, exhaustion/output
// expect: output limit
// stopped-by: output
// outside: breached
// limits: output_bytes=65536
#include <stdio.h>
#include <string.h>

int main(void) {
    static char line[1024];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < 2048; i++) fwrite(line, 1, sizeof line, i % 2 ? stdout : stderr);
    puts("\nBREACHED: all of it was taken");
}
