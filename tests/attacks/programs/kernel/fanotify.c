// attack: watches what others do with files
// class: kernel/fanotify
// expect: held
// stopped-by: seccomp, confined-service
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    long got = syscall(SYS_fanotify_init, 0x200 /* FAN_REPORT_FID */, 0);
    if (got >= 0) puts("BREACHED: an fanotify group was made");
    else printf("held: %s\n", strerror(errno));
}
