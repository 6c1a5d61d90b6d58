/* A checker: whether the output is a root of the input. Some outputs make it fail. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_word(const char *path, char *word) {
    FILE *file = fopen(path, "r");
    return file && fscanf(file, "%63s", word) == 1;
}

int main(int argc, char **argv) {
    char input[64], output[64] = "", answer[64], rest;
    long n, root;
    if (argc != 4 || !read_word(argv[1], input) || !read_word(argv[3], answer)) return 9;
    read_word(argv[2], output);
    if (!strcmp(output, "crash")) abort();
    if (!strcmp(output, "hang")) for (;;) {}
    if (!strcmp(output, "flood")) for (;;) puts("all work and no play makes jack a dull boy");
    if (!strcmp(output, "dirt")) return 4;
    if (!strcmp(output, "eof")) return 8;
    if (!strcmp(output, "status")) {
        fputs("cannot judge\n", stderr);
        return 7;
    }
    if (sscanf(output, "%ld%c", &root, &rest) != 1) {
        printf("no number: %s\n", output);
        return 2;
    }
    n = atol(input);
    if (root * root != n) {
        printf("%ld is no root of %ld, but %s is\n", root, n, answer);
        return 1;
    }
    return 0;
}
