# One job acts on the processes of another, or reads them. Stopped by the process namespace and by ids of its own for
# every container; tracing also by the filter.


@channel
class a_signal(Channel):
    count = 0

    def begin(self):
        def count(number, frame):
            self.count += 1

        signal.signal(signal.SIGUSR1, count)

    def on(self):
        for pid in others:
            if pid != os.getpid() and not os.path.exists(f"/proc/{os.getpid()}/task/{pid}"):
                try:
                    os.kill(pid, signal.SIGUSR1)
                except OSError:
                    pass

    def look(self):
        count, self.count = self.count, 0
        return int(count > 0)


@channel
class ptrace(Kept):
    """PTRACE_SEIZE by a process of its own, which passes on every signal; the traced sees it in its own status."""

    def begin(self):
        libc.prctl(0x59616D61, ctypes.c_ulong(-1))  # PR_SET_PTRACER: any, where Yama asks.

    def take(self):
        tell, told = os.pipe()
        tracer = os.fork()
        if tracer == 0:
            os.close(tell)
            traced = [pid for pid in others if pid != os.getppid() and libc.ptrace(0x4206, pid, 0, 0) == 0]
            os.write(told, b"x" * len(traced) or struct.pack("i", -ctypes.get_errno()))
            while traced:
                pid, status = os.waitpid(-1, 0x40000000)
                libc.ptrace(7, pid, 0, os.WSTOPSIG(status))  # PTRACE_CONT
            os._exit(0)
        os.close(told)
        answer = os.read(tell, 4)
        os.close(tell)
        if answer[:1] != b"x":
            os.waitpid(tracer, 0)
            number = -struct.unpack("i", answer)[0]
            raise OSError(number, os.strerror(number))
        return tracer

    def drop(self, held):
        os.kill(held, signal.SIGKILL)
        os.waitpid(held, 0)

    def look(self):
        status = open("/proc/self/status").read()
        return int(status.split("TracerPid:")[1].split()[0] != "0")


@channel
class proc_of_others(Channel):
    """A thread's name, as everybody reads it in /proc."""

    def on(self):
        open("/proc/self/comm", "w").write("tell-tale")

    def off(self):
        open("/proc/self/comm", "w").write("silent")

    def look(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if open(f"/proc/{pid}/comm").read() == "tell-tale\n":
                    return 1
            except OSError:
                pass
        return 0


@channel
class file_of_others(Kept):
    """A descriptor of the other's, opened by way of /proc."""

    def take(self):
        fd = syscall(319, b"tell-tale", 0)  # memfd_create
        os.write(fd, b"x")
        return fd

    def look(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if any("tell-tale" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")):
                    return 1
            except OSError:
                pass
        return 0
