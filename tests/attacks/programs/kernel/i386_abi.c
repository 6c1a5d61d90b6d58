// attack: calls the kernel as a 32-bit program, by other numbers
// class: kernel/other-abis
// expect: held
// stopped-by: seccomp, confined-service
// outside: breached
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    pid_t child = fork();
    if (!child) {
        long got;
        __asm__ volatile("int $0x80" : "=a"(got) : "a"(20 /* getpid */) : "memory", "r8", "r9", "r10", "r11");
        _exit(got > 0 ? 42 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 42) puts("BREACHED: the kernel answered");
    else printf("held: ended by signal %d\n", WTERMSIG(status));
}
