// attack: overwrites the program that starts every job (as CVE-2019-5736 did with the runtime)
// class: runtime/init, runtime/rootfs
// expect: held
// stopped-by: read-only-root, protected-image
// outside: not run, there is no such program outside
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    // Opening says ETXTBSY before anything else: it runs. Between two jobs it does not.
    if (access("/casemate/init", W_OK) == 0) puts("BREACHED: nothing but its running stops us");
    else printf("held: %s\n", strerror(errno));
}
