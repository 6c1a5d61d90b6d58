// attack: leaves a link where the service may follow it
// class: peers/symlink
// expect: held
// stopped-by: read-only-code
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    if (symlink("/etc/shadow", "/code/result") == 0) puts("BREACHED: a link was left");
    else printf("held: %s\n", strerror(errno));
}
