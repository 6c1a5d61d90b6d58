#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
    char directory[100];
    printf("%s %s\n", getcwd(directory, sizeof directory), getenv("HOME"));
    return 0;
}
