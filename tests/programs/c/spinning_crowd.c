#include <unistd.h>

/* Sixty processes that spin, this one among them. */
int main(void) {
    for (int i = 1; i < 60; i++)
        if (!fork())
            break;
    for (;;)
        ;
}
