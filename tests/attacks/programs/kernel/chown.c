// attack: gives a file to root
// class: kernel/privileges
// expect: held
// stopped-by: capabilities
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>

int main(void) {
    close(open("/tmp/file", O_CREAT | O_WRONLY, 0600));
    long got = chown("/tmp/file", 0, 0);
    if (got >= 0) puts("BREACHED: root has got a file from us");
    else printf("held: %s\n", strerror(errno));
}
