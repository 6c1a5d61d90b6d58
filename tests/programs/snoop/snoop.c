// Says all that a program can find out of where it is: one fact on a line, its kind in front. C and C++ at once. What
// differs from run to run is for the reader of the lines to take out. With an argument it prints itself, in hexadecimal.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char *result(long value) { return value < 0 ? strerrorname_np(errno) : "done"; }

// Files of /proc that are worth their text; of all others it counts that they can be read.
static const char *const told[] = {
    "autogroup", "cgroup", "cmdline", "comm", "coredump_filter", "cpuset", "environ", "gid_map", "loginuid",
    "mountinfo", "oom_adj", "oom_score_adj", "patch_state", "personality", "projid_map", "sessionid", "setgroups",
    "seccomp_cache", "status", "timens_offsets", "timerslack_ns", "uid_map", "wchan", "attr/current", "attr/exec",
    "net/arp", "net/dev", "net/if_inet6", "net/netlink", "net/packet", "net/route", "net/tcp", "net/tcp6", "net/udp",
    "net/unix", "net/fib_trie", "net/wireless", "net/dev_mcast",
};

static void text(const char *kind, const char *path) {
    FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    if (!file) return;
    while ((length = getdelim(&line, &room, strstr(path, "environ") || strstr(path, "cmdline") ? 0 : '\n', file)) > 0) {
        // A program can be its own argument: its first line is enough.
        line[strcspn(line, "\n")] = 0;
        printf("%s: %.400s\n", kind, line);
    }
    free(line);
    fclose(file);
}

static char letter(mode_t mode) {
    return S_ISDIR(mode) ? 'd' : S_ISLNK(mode) ? 'l' : S_ISCHR(mode) ? 'c' : S_ISBLK(mode) ? 'b' : S_ISFIFO(mode) ? 'p' : S_ISSOCK(mode) ? 's' : '-';
}

// What there is, whose it is, and what of it can be had: tried, not guessed from the mode.
static void walk(const char *path, int deep) {
    struct stat about;
    char target[PATH_MAX] = "";
    if (lstat(path, &about) != 0) {
        printf("path: ? %s %s\n", path, strerrorname_np(errno));
        return;
    }
    if (S_ISLNK(about.st_mode)) {
        ssize_t length = readlink(path, target, sizeof target - 1);
        snprintf(target + (length > 0 ? length : 0), 32, "%s", length < 0 ? strerrorname_np(errno) : "");
    }
    int plain = !S_ISLNK(about.st_mode);
    int in = plain ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY) : -1;
    char byte;
    // A file that opens may still refuse to be read, as much of /proc does.
    int reads = in >= 0 && (S_ISREG(about.st_mode) ? read(in, &byte, 1) >= 0 : 1);
    int out = plain && !S_ISDIR(about.st_mode) ? open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY) : -1;
    int writes = out >= 0 || (S_ISDIR(about.st_mode) && access(path, W_OK) == 0);
    printf("path: %c%04o %u:%u %c%c %s%s%s\n", letter(about.st_mode), about.st_mode & 07777, about.st_uid, about.st_gid,
           reads ? 'r' : '-', writes ? 'w' : '-', path, *target ? " -> " : "", target);
    if (S_ISCHR(about.st_mode) || S_ISBLK(about.st_mode)) printf("device: %s %u:%u\n", path, (unsigned)(about.st_rdev >> 8), (unsigned)(about.st_rdev & 255));
    if (out >= 0) close(out);
    if (in >= 0) close(in);
    if (!S_ISDIR(about.st_mode) || deep == 0) return;
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        char below[PATH_MAX];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        snprintf(below, sizeof below, "%s/%s", strcmp(path, "/") ? path : "", entry->d_name);
        walk(below, deep - 1);
    }
    if (directory) closedir(directory);
}

static void files(void) {
    // What the image itself has is known by its digest; everything else is walked to the bottom, and what is mounted
    // inside the image is told by the mount table.
    const char *const image[] = {"bin", "etc", "lib", "lib32", "lib64", "libx32", "sbin", "usr", "var"};
    const char *const settings[] = {"/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/machine-id", "/etc/mtab"};
    walk("/", 0);
    DIR *root = opendir("/");
    struct dirent *entry;
    while (root && (entry = readdir(root))) {
        char path[PATH_MAX];
        int known = entry->d_name[0] == '.';
        for (size_t at = 0; at < sizeof image / sizeof *image; at++) known |= !strcmp(entry->d_name, image[at]);
        snprintf(path, sizeof path, "/%s", entry->d_name);
        if (!known) walk(path, 40);
    }
    if (root) closedir(root);
    for (size_t at = 0; at < sizeof settings / sizeof *settings; at++) {
        if (access(settings[at], F_OK) == 0) walk(settings[at], 0);
        text(settings[at], settings[at]);
    }
    const char *const systems[] = {"/", "/proc", "/dev", "/dev/shm", "/dev/null", "/tmp", "/code", "/casemate"};
    for (size_t at = 0; at < sizeof systems / sizeof *systems; at++) {
        struct statfs about;
        if (statfs(systems[at], &about) == 0)
            printf("statfs: %s type %lx size %llu inodes %llu flags %lx\n", systems[at], (long)about.f_type,
                   (unsigned long long)about.f_blocks * about.f_bsize, (unsigned long long)about.f_files, (long)about.f_flags);
    }
}

static void process(void) {
    char path[PATH_MAX], kind[64];
    for (size_t at = 0; at < sizeof told / sizeof *told; at++) {
        snprintf(path, sizeof path, "/proc/self/%s", told[at]);
        snprintf(kind, sizeof kind, "self/%s", told[at]);
        text(kind, path);
    }
    for (int fd = 0; fd < 4096; fd++) {
        char target[PATH_MAX] = "";
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0) continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) < 0) strcpy(target, strerrorname_np(errno));
        struct stat about;
        fstat(fd, &about);
        printf("open: %d %c%04o %u:%u flags %o %s\n", fd, letter(about.st_mode), about.st_mode & 07777, about.st_uid, about.st_gid, flags, target);
    }
    FILE *maps = fopen("/proc/self/maps", "re");
    char name[PATH_MAX];
    while (maps && fgets(path, sizeof path, maps))
        if (sscanf(path, "%*s %*s %*s %*s %*s %4000[^\n]", name) == 1) printf("map: %s\n", name);
    if (maps) fclose(maps);
    const char *const names[] = {"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"};
    for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
        char target[64] = "";
        snprintf(path, sizeof path, "/proc/self/ns/%s", names[at]);
        if (readlink(path, target, sizeof target - 1) < 0) strcpy(target, strerrorname_np(errno));
        printf("namespace: %s %s\n", names[at], target);
    }
    text("init/status", "/proc/1/status");
    text("init/environ", "/proc/1/environ");
    text("init/cmdline", "/proc/1/cmdline");
    gid_t groups[64];
    printf("ids: pid %d parent %d group %d session %d uid %u %u gid %u %u groups %d\n", getpid(), getppid(), getpgrp(), getsid(0), getuid(),
           geteuid(), getgid(), getegid(), getgroups(64, groups));
    printf("process: dumpable %d keepcaps %d securebits %d nice %d scheduler %d ioprio %ld umask %04o tty %s\n", prctl(PR_GET_DUMPABLE),
           prctl(PR_GET_KEEPCAPS), prctl(PR_GET_SECUREBITS), getpriority(PRIO_PROCESS, 0), sched_getscheduler(0),
           syscall(SYS_ioprio_get, 1, 0), umask(022), result(open("/dev/tty", O_RDWR | O_CLOEXEC)));
    for (int limit = 0; limit < 16; limit++) {
        struct rlimit both;
        if (getrlimit((__typeof__(RLIMIT_CORE))limit, &both) == 0) printf("limit: %d %lld %lld\n", limit, (long long)both.rlim_cur, (long long)both.rlim_max);
        struct rlimit of_init;
        long tried = prlimit(1, (__typeof__(RLIMIT_CORE))limit, NULL, &of_init);
        if (limit == 0 || tried == 0) printf("limit of the init: %s\n", result(tried));
    }
}

static void machine(void) {
    struct utsname name;
    uname(&name);
    printf("uname: sysname %s\nuname: nodename %s\nuname: release %s\nuname: version %s\nuname: machine %s\nuname: domain %s\n", name.sysname, name.nodename,
           name.release, name.version, name.machine, name.domainname);
    const char *const clocks[] = {"realtime", "monotonic", "process", "thread", "monotonic_raw", "realtime_coarse", "monotonic_coarse", "boottime"};
    for (int clock = 0; clock < 8; clock++) {
        struct timespec now;
        if (clock_gettime(clock, &now) == 0) printf("clock: %s %lld\n", clocks[clock], (long long)now.tv_sec);
        else printf("clock: %s %s\n", clocks[clock], strerrorname_np(errno));
    }
    struct sysinfo info;
    if (sysinfo(&info) == 0) {
        printf("sysinfo: uptime %ld\nsysinfo: memory %llu\n", info.uptime, (unsigned long long)info.totalram * info.mem_unit);
        printf("sysinfo: free memory %s, load %s, processes %s, swap %s\n", info.freeram ? "told" : "hidden", info.loads[2] ? "told" : "hidden",
               info.procs ? "told" : "hidden", info.totalswap ? "told" : "none");
    }
    cpu_set_t processors;
    CPU_ZERO(&processors);
    sched_getaffinity(0, sizeof processors, &processors);
    printf("processors: %d, %ld\n", CPU_COUNT(&processors), sysconf(_SC_NPROCESSORS_CONF));
}

static void channels(void) {
    for (int family = 0; family < 50; family++) {
        const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET};
        for (int at = 0; at < 4; at++) {
            int fd = socket(family, types[at] | SOCK_CLOEXEC, 0);
            if (fd >= 0 || (errno != EPERM && errno != EACCES)) printf("socket: family %d type %d %s\n", family, types[at], result(fd));
            if (fd >= 0) close(fd);
        }
    }
    const int rings[] = {KEY_SPEC_THREAD_KEYRING, KEY_SPEC_PROCESS_KEYRING, KEY_SPEC_SESSION_KEYRING, KEY_SPEC_USER_KEYRING, KEY_SPEC_USER_SESSION_KEYRING};
    for (int at = 0; at < 5; at++) printf("keyring: %d %s\n", rings[at], result(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, rings[at], 0)));
    struct shm_info shared;
    struct msginfo messages;
    struct seminfo semaphores;
    long highest = shmctl(0, SHM_INFO, (struct shmid_ds *)&shared);
    printf("ipc: shared memory %s, %d in use\n", result(highest), highest < 0 ? -1 : shared.used_ids);
    highest = msgctl(0, MSG_INFO, (struct msqid_ds *)&messages);
    printf("ipc: message queues %s, %d in use\n", result(highest), highest < 0 ? -1 : messages.msgpool);
    highest = semctl(0, 0, SEM_INFO, &semaphores);
    printf("ipc: semaphores %s, %d in use\n", result(highest), highest < 0 ? -1 : semaphores.semusz);
    mqd_t queue = mq_open("/snoop", O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
    printf("ipc: a queue of messages %s\n", result(queue));
    if (queue >= 0) mq_unlink("/snoop");
}

int main(int count, char *arguments[]) {
    if (count > 1 && arguments[1]) {
        char line[1 << 16];
        int in = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        ssize_t length;
        while ((length = read(in, line, sizeof line)) > 0)
            for (ssize_t at = 0; at < length; at++) printf("%02x", (unsigned char)line[at]);
        return 0;
    }
    for (char **variable = environ; *variable; variable++) printf("variable: %s\n", *variable);
    process();
    files();
    machine();
    channels();
    puts("end");
    return 0;
}
