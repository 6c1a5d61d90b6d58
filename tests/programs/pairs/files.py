# What can be changed by one and read by the other. Stopped by a read-only image, file systems of its own for all that is
# writable, and a /proc without anything to write to.


@channel
class scratch_file(Kept):
    path = scratch + "/pair"

    def take(self):
        return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)

    def drop(self, held):
        os.close(held)
        os.unlink(self.path)

    def look(self):
        return int(os.path.exists(self.path))


@channel
class times_of_the_image(Channel):
    path = "/etc/hosts" if inside else shared

    def on(self):
        os.utime(self.path, (1000, 1000))

    def off(self):
        os.utime(self.path, (2000, 2000))

    def look(self):
        return int(os.stat(self.path).st_mtime == 1000)


@channel
class access_time_of_the_image(Channel):
    """Reading, and the time of the last reading; a mount may leave it alone, or change it once a day."""

    path = "/etc/nsswitch.conf" if inside else shared + ".read"
    def begin(self):
        self.last = os.stat(self.path).st_atime_ns

    def on(self):
        if not inside:
            os.utime(self.path, (1, 2))  # So that a mount with relatime notes the next reading.
        open(self.path).read()

    def look(self):
        last, self.last = self.last, os.stat(self.path).st_atime_ns
        return int(last != self.last)


@channel
class host_name(Channel):
    """sethostname needs a capability outside too: the name is read, and changing it must fail."""

    def on(self):
        call(libc.sethostname(b"tell-tale", 9))

    def look(self):
        return int(os.uname().nodename == "tell-tale")


@channel
class room_on_the_root(Kept):
    """Free space of the file system that holds the image; outside, of one that both can write to."""

    path = "/" if inside else "/dev/shm"

    def take(self):
        fd = os.open(f"{self.path}/room.{os.getpid()}", os.O_RDWR | os.O_CREAT, 0o600)
        os.unlink(f"{self.path}/room.{os.getpid()}")
        os.posix_fallocate(fd, 0, 24 << 20)
        return fd

    def look(self):
        return -os.statvfs(self.path).f_bfree
