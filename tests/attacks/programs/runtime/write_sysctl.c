// attack: changes a setting of the kernel
// class: runtime/fresh-mounts
// expect: held
// stopped-by: proc-of-processes, capabilities, read-only-proc
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <fcntl.h>

int main(void) {
    // Opened only. Whoever administers a network namespace of his own may write this one.
    int fd = open("/proc/sys/net/ipv4/ip_forward", O_WRONLY);
    if (fd >= 0) puts("BREACHED: settings can be written");
    else printf("held: %s\n", strerror(errno));
}
