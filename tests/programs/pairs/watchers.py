# One job opens files, the other watches them. Stopped by a root of its own for every container, and by the filter: an
# instance of inotify also counts for the account that serves, and devices are one inode for the whole machine.
IN_OPEN = 0x20


class Inotify(Channel):
    def begin(self):
        self.fd = call(libc.inotify_init1(os.O_NONBLOCK))
        call(libc.inotify_add_watch(self.fd, self.path.encode(), IN_OPEN))

    def on(self):
        os.close(os.open(self.path, os.O_RDONLY))

    def look(self):
        try:
            return int(len(os.read(self.fd, 65536)) > 0)
        except BlockingIOError:
            return 0


@channel
class inotify_of_the_image(Inotify):
    path = "/etc/passwd" if inside else shared + ".watch"


@channel
class inotify_of_a_device(Inotify):
    path = "/dev/full"


@channel
class dnotify_of_the_image(Channel):
    """DN_ACCESS on a directory, a signal for each reading of a file in it."""

    directory = "/usr/share" if inside else scratch + "/watched"
    count = 0

    def begin(self):
        def count(number, frame):
            self.count += 1

        signal.signal(signal.SIGRTMIN + 5, count)
        signal.signal(signal.SIGIO, count)  # In its place where no more signals can be queued.
        self.fd = os.open(self.directory, os.O_RDONLY)
        fcntl.fcntl(self.fd, 10, signal.SIGRTMIN + 5)  # F_SETSIG
        fcntl.fcntl(self.fd, 1026, 0x80000000 - (1 << 32) | 0x1)  # F_NOTIFY, DN_MULTISHOT | DN_ACCESS

    def on(self):
        os.listdir(self.directory)
        for name in os.listdir(self.directory):
            try:
                with open(f"{self.directory}/{name}", "rb") as file:
                    file.read(16)
            except IsADirectoryError:
                pass

    def look(self):
        self.fd  # Not there when watching was refused.
        count, self.count = self.count, 0
        return int(count > 0)


@channel
class fanotify_of_the_image(Channel):
    """FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_NONBLOCK: what an ordinary user may have."""

    path = (shared + ".fan").encode() if not inside else b"/etc/nsswitch.conf"

    def begin(self):
        self.fd = syscall(300, 0x202, os.O_RDONLY)
        syscall(301, self.fd, 1, IN_OPEN, -100, self.path)

    def on(self):
        os.close(os.open(self.path, os.O_RDONLY))

    def look(self):
        try:
            return int(len(os.read(self.fd, 65536)) > 0)
        except BlockingIOError:
            return 0
