// attack: opens the pipe of the report through process 1
// class: runtime/init, peers/silent-limits
// expect: held
// stopped-by: hidden-init
// outside: not run, process 1 of a host is not for us to look into
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <dirent.h>

int main(void) {
    DIR *files = opendir("/proc/1/fd");
    if (files && readdir(files)) puts("BREACHED: the open files of process 1");
    else printf("held: %s\n", strerror(errno));
}
