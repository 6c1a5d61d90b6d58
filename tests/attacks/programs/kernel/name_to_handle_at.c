// attack: gets the number of a directory, the first half of the Shocker escape
// class: kernel/file-handles
// expect: held
// stopped-by: seccomp
// outside: breached on the host
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    unsigned handle[40] = {128};
    int mount;
    long got = syscall(SYS_name_to_handle_at, -100 /* AT_FDCWD */, "/tmp", handle, &mount, 0);
    if (got >= 0) puts("BREACHED: a file handle was given out");
    else printf("held: %s\n", strerror(errno));
}
