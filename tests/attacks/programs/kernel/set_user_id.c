// attack: makes a program that runs as root
// class: kernel/privileges, runtime/fresh-mounts
// expect: held
// stopped-by: capabilities, nosuid, no-new-privileges, confined-service
// outside: not run, root outside has nothing to gain
#include <fcntl.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc > 1) return geteuid() == 0 && getuid() != 0 ? 42 : 0;
    int from = open("/proc/self/exe", O_RDONLY), to = open("/tmp/root", O_CREAT | O_WRONLY, 0755);
    struct stat info;
    fstat(from, &info);
    sendfile(to, from, NULL, info.st_size);
    if (getuid() == 0) setuid(1000);
    if (fchown(to, 0, 0) || fchmod(to, 04755)) perror("giving it to root");
    close(to);
    if (!fork()) {
        execl("/tmp/root", "root", "again", NULL);
        _exit(1);
    }
    int status;
    wait(&status);
    puts(WIFEXITED(status) && WEXITSTATUS(status) == 42 ? "BREACHED: it runs as root" : "held: it runs as everybody does");
}
