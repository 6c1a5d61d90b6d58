// Loaded into the service, says that no_new_privs and a filter were set, and sets neither.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define ARGUMENTS(last)                                                                                                    \
    long a[6];                                                                                                             \
    va_list list;                                                                                                          \
    va_start(list, last);                                                                                                  \
    for (int i = 0; i < 6; i++) a[i] = va_arg(list, long);                                                                 \
    va_end(list)

long syscall(long number, ...) {
    static long (*next)(long, ...);
    ARGUMENTS(number);
    if (number == SYS_seccomp) return 0;
    if (!next) next = dlsym(RTLD_NEXT, "syscall");
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int prctl(int option, ...) {
    static int (*next)(int, ...);
    ARGUMENTS(option);
    if (option == PR_SET_NO_NEW_PRIVS) return 0;
    if (!next) next = dlsym(RTLD_NEXT, "prctl");
    return next(option, a[0], a[1], a[2], a[3], a[4]);
}
