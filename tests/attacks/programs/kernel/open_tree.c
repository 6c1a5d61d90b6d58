// attack: copies the tree of mounts
// class: kernel/mounts
// expect: held
// stopped-by: seccomp, capabilities
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    long got = syscall(SYS_open_tree, -100 /* AT_FDCWD */, "/tmp", 1 /* OPEN_TREE_CLONE */);
    if (got >= 0) puts("BREACHED: a mount was copied");
    else printf("held: %s\n", strerror(errno));
}
