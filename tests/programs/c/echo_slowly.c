#include <unistd.h>

// A small buffer and no stdio: reading and writing take turns, so both pipes must be served at once.
int main(void) {
    char buffer[512];
    ssize_t n;
    while ((n = read(0, buffer, sizeof buffer)) > 0)
        for (ssize_t at = 0; at < n;) {
            ssize_t written = write(1, buffer + at, n - at);
            if (written < 0)
                return 1;
            at += written;
        }
    return 0;
}
