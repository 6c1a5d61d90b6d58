//! Process 1 of every container: runs one program as its child, reaps what that program leaves behind, and reports how
//! it ended. It is not part of the library: `build.rs` compiles it alone, static and without any runtime, and the
//! library carries the result as bytes.
//!
//! `init PROGRAM [ARGUMENT...]`, the environment passed on as it is, file descriptor 3 the pipe for the report:
//!
//! | line | when |
//! |---|---|
//! | `setup ERRNO` | its own preparations failed; nothing was started; exit status 125 |
//! | `fork ERRNO` | the child could not be made; exit status 125 |
//! | `exec ERRNO` | PROGRAM could not be executed (the child then exits with 127, which is reported as well) |
//! | `exited STATUS UTIME_US STIME_US MAXRSS_KIB` | PROGRAM called exit; the same exit status |
//! | `signaled SIGNAL UTIME_US STIME_US MAXRSS_KIB` | a signal ended PROGRAM; exit status 128 + SIGNAL |
//!
//! When it exits the kernel ends every other process of its pid namespace (pid_namespaces(7)).

#![no_std]
#![no_main]

mod kernel;

use kernel::{call, exit};

#[cfg(target_arch = "x86_64")]
mod nr {
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const WAIT4: usize = 61;
    pub const FCNTL: usize = 72;
    pub const PRCTL: usize = 157;
    pub const CLOSE_RANGE: usize = 436;
}

#[cfg(target_arch = "aarch64")]
mod nr {
    pub const FCNTL: usize = 25;
    pub const CLOSE: usize = 57;
    pub const WRITE: usize = 64;
    pub const RT_SIGACTION: usize = 134;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const PRCTL: usize = 167;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const WAIT4: usize = 260;
    pub const CLOSE_RANGE: usize = 436;
}

const REPORT: usize = 3;
const EINTR: isize = -4;
const EINVAL: isize = -22;
const F_SETFD: usize = 2;
const FD_CLOEXEC: usize = 1;
const PR_SET_DUMPABLE: usize = 4;
const SIGKILL: usize = 9;
const SIGCHLD: usize = 17;
const SIGSTOP: usize = 19;
const SIGNALS: usize = 64;
const SIG_SETMASK: usize = 2;
const SIGSET_BYTES: usize = 8;
/// Waits for children whatever signal they announce their end with (wait(2)).
const WALL: usize = 0x4000_0000;
const NOT_STARTED: usize = 125;
const NO_EXEC: usize = 127;

/// `struct rusage` (getrusage(2)): the two times, the high-water mark, and 13 words that nobody reads here.
#[repr(C)]
struct Usage {
    user: [i64; 2],
    system: [i64; 2],
    max_rss_kib: i64,
    rest: [i64; 13],
}

/// A line under construction; five numbers of 20 digits and a word fit with room to spare.
struct Line {
    bytes: [u8; 160],
    len: usize,
}

impl Line {
    fn new(word: &[u8]) -> Self {
        let mut line = Line { bytes: [0; 160], len: 0 };
        for &byte in word {
            line.push(byte);
        }
        line
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn number(mut self, value: u64) -> Self {
        self.push(b' ');
        let mut divisor = 1;
        while value / divisor >= 10 {
            divisor *= 10;
        }
        while divisor > 0 {
            self.push(b'0' + (value / divisor % 10) as u8);
            divisor /= 10;
        }
        self
    }

    /// One write, so that a reader never sees half a line (a pipe takes up to PIPE_BUF bytes at once, pipe(7)).
    fn send(mut self) {
        self.push(b'\n');
        // SAFETY: the buffer outlives the call.
        unsafe { call(nr::WRITE, REPORT, self.bytes.as_ptr() as usize, self.len, 0) };
    }
}

/// Reports that nothing was started, and why.
fn fail(word: &[u8], error: isize) -> ! {
    Line::new(word).number(error.unsigned_abs() as u64).send();
    exit(NOT_STARTED)
}

/// Ends the process unless the preparation worked: a job never runs beside an init that it could look into.
fn must(result: isize) {
    if result < 0 {
        fail(b"setup", result);
    }
}

fn default_action(signal: usize) {
    // SIG_DFL, no flags, no restorer, empty mask: all zero on both architectures.
    let action = [0usize; 4];
    // SAFETY: the kernel reads a sigaction of at most four words; the refusal for KILL and STOP is of no interest.
    unsafe { call(nr::RT_SIGACTION, signal, action.as_ptr() as usize, 0, SIGSET_BYTES) };
}

/// The child: a signal state as after login, then the program.
unsafe fn child(argv: *const usize, envp: *const usize) -> ! {
    for signal in 1..=SIGNALS {
        if signal != SIGKILL && signal != SIGSTOP {
            default_action(signal);
        }
    }
    let none = 0u64;
    // SAFETY: the mask outlives the call; argv and envp are the kernel's own arrays, each ended by NULL.
    let error = unsafe {
        call(nr::RT_SIGPROCMASK, SIG_SETMASK, &raw const none as usize, 0, SIGSET_BYTES);
        call(nr::EXECVE, *argv, argv as usize, envp as usize, 0)
    };
    Line::new(b"exec").number(error.unsigned_abs() as u64).send();
    exit(NO_EXEC)
}

/// Reaps everything until `main` has ended. A stopped child is none that ended: WUNTRACED is not asked for.
fn wait_for(main: isize) -> (u32, Usage) {
    loop {
        let mut status = 0u32;
        let mut usage = Usage { user: [0; 2], system: [0; 2], max_rss_kib: 0, rest: [0; 13] };
        // SAFETY: both targets outlive the call and have the kernel's layout.
        let pid = unsafe {
            call(nr::WAIT4, usize::MAX, &raw mut status as usize, WALL, &raw mut usage as usize)
        };
        if pid == main {
            return (status, usage);
        }
        if pid < 0 && pid != EINTR {
            fail(b"setup", pid);
        }
    }
}

fn micros(time: [i64; 2]) -> u64 {
    time[0] as u64 * 1_000_000 + time[1] as u64
}

unsafe extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the layout of a new process's stack, see `_start`.
    let (argc, argv) = unsafe { (*stack, stack.add(1)) };
    // SAFETY: numbers only.
    unsafe {
        // First of all, so that a report of failure cannot be inherited either.
        must(call(nr::FCNTL, REPORT, F_SETFD, FD_CLOEXEC, 0));
        must(call(nr::PRCTL, PR_SET_DUMPABLE, 0, 0, 0));
        // Whatever a runtime may have left open. An older kernel has no such call: then this is one defence less, and
        // the runtime's own closing remains.
        call(nr::CLOSE_RANGE, REPORT + 1, u32::MAX as usize, 0, 0);
    }
    if argc < 2 {
        fail(b"setup", EINVAL);
    }
    // An ignored SIGCHLD would have the kernel throw the exit status away (wait(2), notes).
    default_action(SIGCHLD);
    // SAFETY: as fork(2); the child gets a copy of everything.
    let main = unsafe { call(nr::CLONE, SIGCHLD, 0, 0, 0) };
    if main < 0 {
        fail(b"fork", main);
    }
    if main == 0 {
        // SAFETY: argv has argc entries and a NULL, envp follows it.
        unsafe { child(argv.add(1), argv.add(argc + 1)) }
    }
    for fd in 0..REPORT {
        // SAFETY: a number only. Readers of the job's output must see its end when the job has ended.
        unsafe { call(nr::CLOSE, fd, 0, 0, 0) };
    }
    let (status, usage) = wait_for(main);
    let signal = status & 0x7f;
    let exited = (status >> 8) & 0xff;
    let (word, value, code): (&[u8], _, _) =
        if signal == 0 { (b"exited", exited, exited) } else { (b"signaled", signal, 128 + signal) };
    Line::new(word)
        .number(value.into())
        .number(micros(usage.user))
        .number(micros(usage.system))
        .number(usage.max_rss_kib as u64)
        .send();
    exit(code as usize)
}
