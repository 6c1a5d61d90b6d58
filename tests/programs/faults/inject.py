# Makes one system call of a running service fail, once: a tracer (ptrace(2)) over the service, what it forks, the runtime
# and the init, until the init starts its program. x86-64.
#
#   inject.py PID
#
# Standard input: `record`, after which each call is told by a name of its own (`call NAME`); `fail NAME`, after which the
# next call of this name gives EIO and is not made (`failed NAME`); `rest`. A name is who calls, which call, on what, and
# the how-manieth of these since the last line: numbers in it are `#`. Each line is answered with `ready`.
import ctypes
import os
import re
import signal
import sys
import threading

EIO = 5
CALLS = {
    0: "read", 1: "write", 2: "open", 16: "ioctl", 22: "pipe", 32: "dup", 33: "dup2", 41: "socket", 53: "socketpair",
    46: "sendmsg", 47: "recvmsg", 56: "clone", 57: "fork", 58: "vfork", 59: "execve", 61: "wait4", 72: "fcntl",
    73: "flock", 76: "truncate", 77: "ftruncate", 80: "chdir", 81: "fchdir", 82: "rename", 83: "mkdir", 84: "rmdir",
    85: "creat", 86: "link", 87: "unlink", 88: "symlink", 89: "readlink", 90: "chmod", 91: "fchmod", 92: "chown",
    93: "fchown", 94: "lchown", 105: "setuid", 106: "setgid", 109: "setpgid", 112: "setsid", 113: "setreuid",
    114: "setregid", 116: "setgroups", 117: "setresuid", 119: "setresgid", 126: "capset", 133: "mknod",
    135: "personality", 137: "statfs", 138: "fstatfs", 155: "pivot_root", 157: "prctl", 160: "setrlimit",
    161: "chroot", 165: "mount", 166: "umount2", 170: "sethostname", 217: "getdents64", 233: "epoll_ctl",
    247: "waitid", 257: "openat", 258: "mkdirat", 259: "mknodat", 260: "fchownat", 262: "newfstatat", 263: "unlinkat",
    264: "renameat", 265: "linkat", 266: "symlinkat", 267: "readlinkat", 268: "fchmodat", 272: "unshare",
    282: "signalfd", 289: "signalfd4", 290: "eventfd2", 291: "epoll_create1", 292: "dup3", 293: "pipe2",
    302: "prlimit64", 308: "setns", 316: "renameat2", 317: "seccomp", 319: "memfd_create", 322: "execveat",
    326: "copy_file_range", 40: "sendfile", 332: "statx", 424: "pidfd_send_signal", 428: "open_tree", 429: "move_mount",
    430: "fsopen", 431: "fsconfig", 432: "fsmount", 434: "pidfd_open", 435: "clone3", 436: "close_range",
    437: "openat2", 442: "mount_setattr",
}  # fmt: skip
# The position of the path, and of a second one.
FIRST = "open chdir rename mkdir rmdir creat link unlink symlink readlink chmod chown lchown mknod statfs execve truncate chroot umount2 pivot_root"
SECOND = "openat mkdirat mknodat fchownat newfstatat unlinkat renameat linkat readlinkat fchmodat openat2 statx open_tree execveat mount mount_setattr renameat2"
PATHS = {name: 0 for name in FIRST.split()} | {name: 1 for name in SECOND.split()} | {"move_mount": 3, "symlinkat": 2}
ON = "read write ioctl fcntl flock ftruncate fchdir fchmod fchown fstatfs getdents64 dup dup2 dup3 sendmsg recvmsg fsconfig fsmount setns"
# What the number in a call means, where that tells calls apart.
NUMBERS = {"fcntl": 1, "prctl": 0, "ioctl": 1, "seccomp": 0, "fsconfig": 1, "setrlimit": 0, "prlimit64": 1, "close_range": 2}
# The service goes on with all else while a container is launched: its own connections, its log, its store, its clocks.
OTHERS = re.compile(r"^(socket|anon_inode|/tmp/|/var/tmp/)|redb|^/proc/loadavg$|^/dev/pts|^/etc/localtime")

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
DETACH, SYSCALL, SEIZE, INTERRUPT, LISTEN, GET_SYSCALL_INFO, POKEUSER = 17, 24, 0x4206, 0x4207, 0x4208, 0x420E, 6
SYSGOOD, FORK, VFORK, CLONE, EXEC = 1, 2, 4, 8, 16
EVENT_EXEC, EVENT_STOP = 4, 128
ORIG_RAX, RAX = 15 * 8, 10 * 8


class Info(ctypes.Structure):
    """struct ptrace_syscall_info"""

    _fields_ = [("op", ctypes.c_uint8), ("pad", ctypes.c_uint8 * 3), ("arch", ctypes.c_uint32), ("ip", ctypes.c_uint64),
                ("sp", ctypes.c_uint64), ("nr", ctypes.c_uint64), ("args", ctypes.c_uint64 * 6)]  # fmt: skip


def ptrace(request, pid, address=0, data=0):
    return libc.ptrace(request, pid, address, data)


def plain(path):
    """Numbers, digests and what mkstemp(3) makes differ from launch to launch."""
    return re.sub("[0-9]+", "#", re.sub("[0-9a-f]{8}-[0-9a-f-]{27}", "#", re.sub(r"crun\.\w{6}", "crun.#", path)))


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.recording, self.wanted, self.seen = False, None, {}


def commands(state):
    for line in sys.stdin:
        word, _, name = line.strip().partition(" ")
        with state.lock:
            state.recording, state.wanted, state.seen = word == "record", name if word == "fail" else None, {}
        print("ready", flush=True)
    os._exit(0)  # The kernel lets go of everything that is traced.


def text(pid, address):
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(200).split(b"\0")[0].decode(errors="replace")
    except (OSError, OverflowError, ValueError):
        return "?"


def target(pid, number):
    try:
        return os.readlink(f"/proc/{pid}/fd/{number & 0xFFFFFFFF}")
    except OSError:
        return "?"


class Tracer:
    def __init__(self, service, state):
        self.service, self.state, self.roles, self.groups, self.failing = service, state, {service: "service"}, {}, set()
        self.program = os.readlink(f"/proc/{service}/exe")
        options = SYSGOOD | FORK | VFORK | CLONE | EXEC
        for thread in os.listdir(f"/proc/{service}/task"):
            if ptrace(SEIZE, int(thread), 0, options) != 0:
                sys.exit(f"cannot trace {thread}: {os.strerror(ctypes.get_errno())}")
            ptrace(INTERRUPT, int(thread))
        self.info = Info()

    def group(self, tid):
        if tid not in self.groups:
            try:
                status = open(f"/proc/{tid}/status").read()
            except OSError:
                return tid
            field = lambda name: int(re.search(rf"^{name}:\t(\d+)", status, re.M).group(1))
            self.groups[tid] = field("Tgid")
            if field("Tgid") not in self.roles:
                self.roles[field("Tgid")] = self.role(field("Tgid"))
        return self.groups[tid]

    def forget(self, tid):
        """The number may soon be another's."""
        self.groups.pop(tid, None)
        self.roles.pop(tid, None)

    def role(self, process):
        """By the program that it is now."""
        try:
            program = os.readlink(f"/proc/{process}/exe")
        except OSError:
            return "runtime"
        return "child" if program == self.program else "init" if os.path.basename(program) == "init" else "runtime"

    def executed(self, tid):
        """Whether it is still worth tracing: all but what the init has started."""
        process = self.group(tid)
        before = self.roles.get(process)
        self.roles[process] = self.role(process)
        return before != "init"

    def name(self, tid, call, arguments):
        role = self.roles.get(self.group(tid), "runtime")
        on = ""
        if call in PATHS:
            on = text(tid, arguments[PATHS[call]])
        elif call in ON.split():
            on = target(tid, arguments[0])
        elif call == "epoll_ctl":
            on = target(tid, arguments[2])
        if role == "service" and (OTHERS.search(on) or call in ("wait4", "waitid", "socket", "eventfd2")):
            return None
        if call in NUMBERS:
            return f"{role} {call} {plain(on)} {arguments[NUMBERS[call]]}".replace("  ", " ")
        return f"{role} {call} {plain(on)}".strip()

    def entry(self, tid):
        call = CALLS.get(self.info.nr)
        state = self.state
        if call is None or not (state.recording or state.wanted):
            return
        name = self.name(tid, call, self.info.args)
        if name is None:
            return
        with state.lock:
            state.seen[name] = number = state.seen.get(name, 0) + 1
            name = f"{name} ({number})"
            if state.recording:
                print("call", name, flush=True)
            if state.wanted == name:
                state.wanted = None
                ptrace(POKEUSER, tid, ORIG_RAX, ctypes.c_void_p(-1))
                self.failing.add(tid)
                print("failed", name, flush=True)

    def run(self):
        while True:
            tid, status = os.waitpid(-1, 0x40000000)  # __WALL
            if not os.WIFSTOPPED(status):
                self.forget(tid)
                continue
            self.group(tid)
            number, event, deliver, request = os.WSTOPSIG(status), status >> 16, 0, SYSCALL
            if number == signal.SIGTRAP | 0x80:
                ptrace(GET_SYSCALL_INFO, tid, ctypes.sizeof(self.info), ctypes.addressof(self.info))
                if self.info.op == 1:
                    self.entry(tid)
                elif tid in self.failing:
                    self.failing.discard(tid)
                    ptrace(POKEUSER, tid, RAX, ctypes.c_void_p(-EIO))
            elif event == EVENT_EXEC:
                if not self.executed(tid):
                    request = DETACH
                    self.forget(tid)
            elif event == EVENT_STOP and number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
                request = LISTEN
            elif event == 0:
                deliver = number
            ptrace(request, tid, 0, deliver)


state = State()
tracer = Tracer(int(sys.argv[1]), state)
threading.Thread(target=commands, args=(state,), daemon=True).start()
print("ready", flush=True)
tracer.run()
