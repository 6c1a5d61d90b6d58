// attack: looks at the machine through /sys
// class: runtime/hierarchies, leaks/sys
// expect: held
// stopped-by: no-sysfs
// outside: breached
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <dirent.h>

int main(void) {
    DIR *directory = opendir("/sys");
    int found = 0;
    for (struct dirent *entry; directory && (entry = readdir(directory));) found += entry->d_name[0] != '.';
    if (found) printf("BREACHED: %d entries\n", found);
    else puts("held: nothing is there");
}
