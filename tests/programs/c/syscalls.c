/* Makes the system calls that standard input lists, each in a process of its own, and prints how each ended.
   A line: `n` (the native way), `r` (the same, of a call that the filter refuses) or `i` (int 0x80), the number, six arguments,
   all hexadecimal.
   Its answer: `0` for success, the errno, or `-S` when signal S ended the process. */
#include <errno.h>
#include <stdio.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void call(char way, unsigned long n, const unsigned long *a) {
    /* A call that waits works, which is the question. What is refused cannot wait, and a machine that is busy for as long must
       not make it look as if it did. */
    struct itimerval later = {{0, 0}, {2, 0}};
    if (way != 'r') setitimer(ITIMER_REAL, &later, NULL);
#ifdef __x86_64__
    if (way == 'i') {
        int result = (int)n;
        __asm__ volatile("int $0x80" : "+a"(result) : "b"(a[0]), "c"(a[1]), "d"(a[2]) : "memory");
        _exit(result < 0 ? -result : 0);
    }
#endif
    errno = 0;
    _exit(syscall((long)n, a[0], a[1], a[2], a[3], a[4], a[5]) == -1 ? errno : 0);
}

int main(void) {
    char way;
    unsigned long n, a[6];
    while (scanf(" %c %lx %lx %lx %lx %lx %lx %lx", &way, &n, a, a + 1, a + 2, a + 3, a + 4, a + 5) == 8) {
        int status;
        pid_t child = fork();
        if (child == 0) call(way, n, a);
        if (child < 0 || waitpid(child, &status, 0) < 0) return 1;
        printf("%d\n", WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
    }
    return 0;
}
