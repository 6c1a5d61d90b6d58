# Numbers that the kernel keeps for the whole machine. In /proc they are not to be seen. What a system call tells
# everybody stays open, and is named as such in the test: descriptors of events have numbers of their own, and sysinfo
# tells how much memory is shared.


class Events(Kept):
    """Many open files of one kind."""

    def take(self):
        return [syscall(290, 0, 0) for _ in range(200)]

    def drop(self, held):
        for fd in held:
            os.close(fd)


class Memory(Kept):
    def take(self):
        path = f"/dev/shm/memory.{os.getpid()}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.unlink(path)
        os.posix_fallocate(fd, 0, 24 << 20)
        return fd


@channel
class memory_in_proc(Memory):
    def look(self):
        return int(open("/proc/meminfo").read().split("Shmem:")[1].split()[0]) >> 13


@channel
class memory_by_sysinfo(Memory):
    """sysinfo(2): shared memory of the whole machine."""

    def look(self):
        words = (ctypes.c_ulong * 32)()
        call(libc.sysinfo(words))
        return words[6] >> 23


@channel
class number_of_an_eventfd(Events):
    """The lowest number free is given to the next one, and its owner reads it in /proc."""

    def look(self):
        fds = [syscall(290, 0, 0) for _ in range(3)]
        text = open(f"/proc/self/fdinfo/{fds[-1]}").read()
        for fd in fds:
            os.close(fd)
        return int(text.split("eventfd-id:")[1].split()[0])


@channel
class keys_in_proc(Kept):
    """How many keys each user has."""

    def take(self):
        return syscall(248, b"user", b"counted-%d" % os.getpid(), b"x", 1, -4)

    def drop(self, held):
        # KEYCTL_INVALIDATE: away at once, where one that is only unlinked is counted until it is collected.
        syscall(250, 21, held)

    def look(self):
        return int(any("user" in line and "counted-" in line for line in open("/proc/keys")))


class Page(Channel):
    """Pages of the image stay in memory for all, which saves reading them for each. Whether one is there shows in the time
    that reading takes; here are the two ways to learn it without a clock."""

    def begin(self):
        self.fd = os.open(self.path, os.O_RDONLY)

    def on(self):
        fd = os.open(self.path, os.O_RDONLY)
        os.pread(fd, 65536, 0)
        os.close(fd)

    def off(self):
        fd = os.open(self.path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


@channel
class page_without_waiting(Page):
    """preadv2 with RWF_NOWAIT reads only what is there."""

    path = "/usr/lib/python3.9/turtle.py" if inside else shared + ".page"

    def look(self):
        try:
            return int(os.preadv(self.fd, [bytearray(16)], 0, os.RWF_NOWAIT) > 0)
        except BlockingIOError:
            return 0


@channel
class page_by_counting_blocks(Page):
    """getrusage: blocks that had to be read."""

    path = "/usr/lib/python3.9/_pydecimal.py" if inside else shared + ".block"

    def look(self):
        import resource

        before = resource.getrusage(resource.RUSAGE_SELF).ru_inblock
        os.pread(self.fd, 16, 0)
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_inblock == before)
