// attack: watches files, with an instance out of the few that the service's account has
// class: kernel/watching-files, peers/one-uid
// expect: held
// stopped-by: seccomp
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

int main(void) {
    int watcher = inotify_init1(0);
    if (watcher >= 0 && inotify_add_watch(watcher, "/etc/passwd", IN_ACCESS) >= 0) puts("BREACHED: a file is watched");
    else printf("held: %s\n", strerror(errno));
}
