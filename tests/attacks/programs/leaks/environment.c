// attack: reads variables that were meant for the service
// class: leaks/environment
// expect: held
// stopped-by: clean-environment
// outside: breached
#include <stdio.h>
#include <string.h>

extern char **environ;

int main(void) {
    int others = 0;
    for (char **word = environ; *word; word++)
        if (strncmp(*word, "PATH=", 5) && strncmp(*word, "HOME=", 5) && strncmp(*word, "LANG=", 5)) others++;
    if (others) printf("BREACHED: %d variables of somebody else\n", others);
    else puts("held: only what every job has");
}
