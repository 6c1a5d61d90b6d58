//! The program of the self-test at start: runs into one limit, or looks at all that need no process of their own. Like
//! the init it is compiled alone by `build.rs`; the service runs it as a job (`src/worker/selftest.rs`).
//!
//! | argument | what it does | how a limit that holds ends it |
//! |---|---|---|
//! | `memory` | touches 64 MiB, then waits | killed |
//! | `pids` | starts children that wait, 64 at most | a fork is refused: exit status 1 |
//! | `cpu` | spins | killed |
//! | `wall` | waits | killed |
//! | `output` | prints for ever | killed |
//! | `file` | writes a byte 2 MiB into a file | SIGXFSZ |
//! | `inside` | see `inside` | exit status 0 |
//!
//! `inside` prints a line `open NAME` for everything that is open and should not be, and `at NAMESPACE` for each
//! namespace that it is in. A limit that does not hold is told by another ending, never by silence: all but `inside` exit
//! with 0 or wait when nothing stops them.

#![no_std]
#![no_main]

mod kernel;

use kernel::{call, exit};

#[cfg(target_arch = "x86_64")]
mod nr {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const LSEEK: usize = 8;
    pub const DUP: usize = 32;
    pub const SOCKET: usize = 41;
    pub const CLONE: usize = 56;
    pub const PTRACE: usize = 101;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const UNLINKAT: usize = 263;
    pub const READLINKAT: usize = 267;
    pub const PPOLL: usize = 271;
    pub const UNSHARE: usize = 272;
}

#[cfg(target_arch = "aarch64")]
mod nr {
    pub const DUP: usize = 23;
    pub const MKDIRAT: usize = 34;
    pub const UNLINKAT: usize = 35;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const LSEEK: usize = 62;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const PPOLL: usize = 73;
    pub const READLINKAT: usize = 78;
    pub const UNSHARE: usize = 97;
    pub const PTRACE: usize = 117;
    pub const SOCKET: usize = 198;
    pub const CLONE: usize = 220;
}

const AT_FDCWD: usize = -100isize as usize;
const O_WRONLY: usize = 1;
const O_CREAT: usize = 0o100;
const SIGCHLD: usize = 17;
const EMFILE: isize = -24;
const ENOSPC: isize = -28;
const EROFS: isize = -30;
const AF_INET: usize = 2;
const AF_NETLINK: usize = 16;
const SOCK_DGRAM: usize = 2;
const PTRACE_TRACEME: usize = 0;

const PAGE: usize = 4096;
const MIB: usize = 1 << 20;

/// More than the self-test allows; it costs nothing until it is touched.
const BIG: usize = 64 * MIB;
static mut MEMORY: [u8; BIG] = [0; BIG];

/// More of each than the self-test allows.
const CHILDREN: usize = 64;
const FILES: usize = 256;
const INODES: usize = 256;
const FILE_SYSTEM: usize = 4 * MIB;

const BLOCK: [u8; PAGE] = [b'x'; PAGE];

fn write(fd: usize, bytes: &[u8]) -> isize {
    // SAFETY: the slice outlives the call.
    unsafe { call(nr::WRITE, fd, bytes.as_ptr() as usize, bytes.len(), 0) }
}

/// `path` ends with NUL.
fn create(path: &[u8]) -> isize {
    // SAFETY: as above.
    unsafe { call(nr::OPENAT, AT_FDCWD, path.as_ptr() as usize, O_WRONLY | O_CREAT, 0o600) }
}

/// `path` ends with NUL.
fn mkdir(path: &[u8]) -> isize {
    // SAFETY: as above.
    unsafe { call(nr::MKDIRAT, AT_FDCWD, path.as_ptr() as usize, 0o700, 0) }
}

fn wait_for_ever() -> ! {
    loop {
        // SAFETY: no descriptors, no time, no mask: it ends with a signal or never.
        unsafe { call(nr::PPOLL, 0, 0, 0, 0) };
    }
}

fn memory() -> ! {
    for place in (0..BIG).step_by(PAGE) {
        // SAFETY: within the array, and nobody else is there.
        unsafe { (&raw mut MEMORY).cast::<u8>().add(place).write_volatile(1) };
    }
    wait_for_ever()
}

fn pids() -> ! {
    for _ in 0..CHILDREN {
        // SAFETY: as fork(2); the child gets a copy of everything.
        match unsafe { call(nr::CLONE, SIGCHLD, 0, 0, 0) } {
            0 => wait_for_ever(),
            pid if pid < 0 => exit(1),
            _ => {}
        }
    }
    exit(0)
}

fn file() -> ! {
    let fd = create(b"/tmp/large\0") as usize;
    // SAFETY: numbers only.
    unsafe { call(nr::LSEEK, fd, 2 * MIB, 0, 0) };
    write(fd, b"x");
    exit(0)
}

/// Says that something is open, in one write.
fn open(name: &[u8]) {
    say(b"open ", name);
}

fn say(word: &[u8], name: &[u8]) {
    let mut line = [0; 128];
    let mut len = 0;
    for &byte in word.iter().chain(name).chain(b"\n") {
        if let Some(place) = line.get_mut(len) {
            *place = byte;
            len += 1;
        }
    }
    if let Some(line) = line.get(..len) {
        write(1, line);
    }
}

/// Fills the file system that `path` is on, and leaves the file away again.
fn size(path: &[u8], name: &[u8]) {
    let fd = create(path) as usize;
    let full = (0..FILE_SYSTEM / PAGE).any(|_| write(fd, &BLOCK) == ENOSPC);
    // SAFETY: a number, and a path that outlives the call.
    unsafe {
        call(nr::CLOSE, fd, 0, 0, 0);
        call(nr::UNLINKAT, AT_FDCWD, path.as_ptr() as usize, 0, 0);
    }
    if !full {
        open(name);
    }
}

/// Makes directories under `path`, which has room for two hexadecimal digits before its NUL.
fn inodes<const N: usize>(mut path: [u8; N], name: &[u8]) {
    let full = (0..INODES).any(|n| {
        path[N - 3] = b"0123456789abcdef"[n >> 4 & 15];
        path[N - 2] = b"0123456789abcdef"[n & 15];
        mkdir(&path) == ENOSPC
    });
    if !full {
        open(name);
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn status() {
    let mut text = [0; PAGE];
    let path = b"/proc/self/status\0";
    // SAFETY: path and buffer outlive the calls.
    let len = unsafe {
        let fd = call(nr::OPENAT, AT_FDCWD, path.as_ptr() as usize, 0, 0);
        call(nr::READ, fd as usize, text.as_mut_ptr() as usize, text.len(), 0)
    };
    let text = text.get(..len.max(0) as usize).unwrap_or_default();
    let wanted: [(&[u8], &[u8]); 4] = [
        (b"\nSeccomp:\t2\n", b"seccomp"),
        (b"\nNoNewPrivs:\t1\n", b"new privileges"),
        (b"\nCapEff:\t0000000000000000\n", b"capabilities"),
        (b"\nCapBnd:\t0000000000000000\n", b"capabilities (bounding set)"),
    ];
    for (line, name) in wanted {
        if !contains(text, line) {
            open(name);
        }
    }
}

/// Whether a call with these arguments is let through.
fn lets(number: usize, a: usize, b: usize) -> bool {
    // SAFETY: the callers pass numbers only.
    unsafe { call(number, a, b, 0, 0) >= 0 }
}

fn inside() -> ! {
    for path in [&b"/probe\0"[..], b"/usr/probe\0", b"/etc/probe\0", b"/code/probe-directory\0"] {
        // A user without the right is told something else where the file system could be written.
        if mkdir(path) != EROFS {
            open(b"read-only root");
        }
    }
    size(b"/tmp/full\0", b"tmpfs size");
    size(b"/dev/shm/full\0", b"tmpfs size (/dev/shm)");
    inodes(*b"/tmp/..\0", b"tmpfs inodes");
    inodes(*b"/dev/shm/..\0", b"tmpfs inodes (/dev/shm)");
    status();
    // Both are let through without a filter: neither changes anything nor needs a privilege.
    if lets(nr::UNSHARE, 0, 0) || lets(nr::PTRACE, PTRACE_TRACEME, 0) {
        open(b"seccomp");
    }
    if lets(nr::SOCKET, AF_INET, SOCK_DGRAM) || lets(nr::SOCKET, AF_NETLINK, SOCK_DGRAM) {
        open(b"network");
    }
    let namespaces: [&[u8]; 7] = [
        b"/proc/self/ns/cgroup\0",
        b"/proc/self/ns/ipc\0",
        b"/proc/self/ns/mnt\0",
        b"/proc/self/ns/net\0",
        b"/proc/self/ns/pid\0",
        b"/proc/self/ns/user\0",
        b"/proc/self/ns/uts\0",
    ];
    for path in namespaces {
        let mut name = [0; 64];
        // SAFETY: path and buffer outlive the call.
        let len = unsafe {
            call(nr::READLINKAT, AT_FDCWD, path.as_ptr() as usize, name.as_mut_ptr() as usize, name.len())
        };
        say(b"at ", name.get(..len.max(0) as usize).unwrap_or_default());
    }
    // Last: afterwards there is no descriptor left to look at anything with.
    // SAFETY: a number only.
    let refused = (0..FILES).any(|_| unsafe { call(nr::DUP, 1, 0, 0, 0) } == EMFILE);
    if !refused {
        open(b"open files");
    }
    exit(0)
}

/// The argument of the address, without its NUL.
unsafe fn text<'a>(start: *const u8) -> &'a [u8] {
    let mut len = 0;
    // SAFETY: the kernel's own copy of an argument, ended by NUL.
    unsafe {
        while *start.add(len) != 0 {
            len += 1;
        }
        core::slice::from_raw_parts(start, len)
    }
}

unsafe extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the layout of a new process's stack, see `_start`; argv is ended by NULL.
    let what = unsafe { if *stack < 2 { b"" } else { text(*stack.add(2) as *const u8) } };
    match what {
        b"memory" => memory(),
        b"pids" => pids(),
        b"cpu" => loop {
            core::hint::spin_loop();
        },
        b"wall" => wait_for_ever(),
        b"output" => loop {
            write(1, &BLOCK);
        },
        b"file" => file(),
        b"inside" => inside(),
        _ => exit(125),
    }
}
