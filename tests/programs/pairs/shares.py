# What the kernel counts for a user: one uses it up, the other finds nothing left. Stopped by ids of its own for every
# container, by limits of a process, and by the filter where neither helps.
import resource


class Exhausted(Kept):
    most = 2000

    def take(self):
        held = []
        try:
            while len(held) < self.most:
                held.append(self.one())
        except OSError:
            if not held:
                raise
        return held

    def drop(self, held):
        for one in held:
            self.free(one)

    def free(self, one):
        os.close(one)

    def look(self):
        try:
            self.free(self.one())
            return 0
        except OSError as error:
            if error.errno in self.full:
                return 1
            raise


@channel
class inotify_instances(Exhausted):
    full = [24]  # EMFILE

    def one(self):
        return call(libc.inotify_init1(0))


@channel
class pages_of_pipes(Exhausted):
    """F_SETPIPE_SZ beyond fs.pipe-user-pages-soft."""

    full = [1]  # EPERM
    most = 80

    def one(self):
        a, b = os.pipe()
        os.close(b)
        try:
            fcntl.fcntl(a, 1031, 1 << 20)
        except OSError:
            os.close(a)
            raise
        return a


@channel
class keys(Exhausted):
    full = [122]  # EDQUOT
    number = 0
    most = 300

    def one(self):
        self.number += 1
        return syscall(248, b"user", b"share-%d-%d" % (os.getpid(), self.number), b"x", 1, -4)

    def free(self, one):
        syscall(250, 9, one, -4)


@channel
class pending_signals(Exhausted):
    """Each timer reserves one."""

    full = [11]  # EAGAIN

    def begin(self):
        if not inside:
            resource.setrlimit(resource.RLIMIT_SIGPENDING, (900, 900))

    def one(self):
        self.begin()
        timer = ctypes.c_int()
        syscall(222, 1, None, ctypes.byref(timer))
        return timer.value

    def free(self, one):
        syscall(226, one)


@channel
class bytes_of_posix_queues(Exhausted):
    full = [24]  # EMFILE
    number = 0

    def one(self):
        self.number += 1
        name = b"share-%d-%d" % (os.getpid(), self.number)
        fd = syscall(240, name, os.O_RDWR | os.O_CREAT, 0o600, 0)
        syscall(241, name)
        return fd
