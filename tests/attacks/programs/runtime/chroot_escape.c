// attack: leaves the root directory by the old way: chroot, and then up
// class: runtime/way-out
// expect: held
// stopped-by: seccomp, capabilities, mount-namespace
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/stat.h>

int main(void) {
    mkdir("/tmp/below", 0755);
    if (chroot("/tmp/below")) {
        printf("held: %s\n", strerror(errno));
        return 0;
    }
    for (int i = 0; i < 64; i++) chdir("..");
    chroot(".");
    // The image has neither; a host has at least one of them.
    if (access("/sbin/init", F_OK) == 0 || access("/boot", F_OK) == 0 || access("/home", F_OK) == 0) puts("BREACHED: this is the host");
    else puts("held: still in the image");
}
