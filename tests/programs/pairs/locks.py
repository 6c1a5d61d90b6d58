# Locks on one file. Stopped by a root file system of its own for every container: the same name, another inode.
# What both have of the kernel's own (a device, an epoll instance, the namespace of time) is one inode for the whole
# machine, which a lock can be put on; there is no closing that short of refusing locks altogether.
F_GETLK, F_SETLK = 5, 6
F_OFD_GETLK, F_OFD_SETLK = 36, 37
F_SETLEASE = 1024


def lock(kind):
    return struct.pack("hhqqi4x", kind, 0, 0, 0, 0)


class Flock(Kept):
    def file(self):
        return os.open(self.path, os.O_RDONLY)

    def take(self):
        fd = self.file()
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd

    def look(self):
        fd = self.file()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return 0
        except BlockingIOError:
            return 1
        finally:
            os.close(fd)


@channel
class flock_of_the_image(Flock):
    path = shared


@channel
class flock_of_the_init(Flock):
    path = "/casemate/init" if inside else shared + ".init"


@channel
class flock_of_a_device(Flock):
    path = "/dev/null"


@channel
class flock_of_a_namespace(Flock):
    path = "/proc/self/ns/time"


@channel
class flock_of_an_epoll_instance(Flock):
    def file(self):
        return syscall(291, 0)


@channel
class posix_lock_of_the_image(Kept):
    set, get = F_SETLK, F_GETLK

    def take(self):
        fd = os.open(shared, os.O_RDONLY)
        fcntl.fcntl(fd, self.set, lock(fcntl.F_RDLCK))
        return fd

    def look(self):
        fd = os.open(shared, os.O_RDONLY)
        found = fcntl.fcntl(fd, self.get, lock(fcntl.F_WRLCK))
        os.close(fd)
        return int(struct.unpack("h", found[:2])[0] != fcntl.F_UNLCK)


@channel
class ofd_lock_of_the_image(posix_lock_of_the_image):
    set, get = F_OFD_SETLK, F_OFD_GETLK


@channel
class lease_on_the_image(Kept):
    path = "/etc/group" if inside else shared + ".lease"

    def take(self):
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.fcntl(fd, F_SETLEASE, fcntl.F_WRLCK)
        except OSError:
            os.close(fd)
            raise
        return fd

    def look(self):
        try:
            os.close(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK))
            return 0
        except BlockingIOError:
            return 1


@channel
class proc_locks(Kept):
    """A lock of an open file belongs to no process, so that no process namespace hides it."""

    def take(self):
        fd = os.open(f"{scratch}/proc_locks.{os.getpid()}", os.O_RDWR | os.O_CREAT)
        # Bytes that nobody else would lock.
        fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 4242, 17, 0))
        return fd

    def look(self):
        return int(any(line.split()[-2:] == ["4242", "4258"] for line in open("/proc/locks")))
