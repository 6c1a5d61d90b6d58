//! Process 1 of every container: runs one program as its child, reaps what that program leaves behind, and reports how
//! it ended. It is not part of the library: `build.rs` compiles it alone, static and without any runtime, and the
//! library carries the result as bytes.
//!
//! `init HOW PROGRAM [ARGUMENT...]`, the environment passed on as it is, file descriptor 3 the pipe for the report:
//!
//! | HOW | what it does |
//! |---|---|
//! | `now` | starts PROGRAM at once |
//! | `wait` | starts nothing before the word comes on file descriptor 4: the whole of a message, then its end |
//! | `warm` | starts PROGRAM at once and leaves it file descriptor 4, from which PROGRAM itself takes what it is to do |
//!
//! The message of `wait` is any number of words, each ended by a NUL, and then the byte `g`. With words, these are PROGRAM
//! and its arguments in place of those on the command line. A message that ends otherwise was cut off: nothing starts.
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
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const NANOSLEEP: usize = 35;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const WAIT4: usize = 61;
    pub const FCNTL: usize = 72;
    pub const PRCTL: usize = 157;
    pub const PRLIMIT64: usize = 302;
    pub const CLOSE_RANGE: usize = 436;
}

#[cfg(target_arch = "aarch64")]
mod nr {
    pub const FCNTL: usize = 25;
    pub const CLOSE: usize = 57;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const NANOSLEEP: usize = 101;
    pub const RT_SIGACTION: usize = 134;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const PRCTL: usize = 167;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const WAIT4: usize = 260;
    pub const PRLIMIT64: usize = 261;
    pub const CLOSE_RANGE: usize = 436;
}

const REPORT: usize = 3;
/// Where the word to begin comes from.
const WORD: usize = 4;
/// The longest message: more than one argument of 128 KiB (execve(2)) and a command around it. Untouched, it costs nothing.
const MESSAGE_MAX: usize = 192 << 10;
/// The most words of a message.
const WORDS_MAX: usize = 1024;
const EINTR: isize = -4;
const E2BIG: isize = -7;
const EINVAL: isize = -22;
const ETXTBSY: isize = -26;
const ECANCELED: isize = -125;
/// A descriptor open for writing on a program that has just been written may live on for a moment in a child of the
/// service that has not executed yet: so often, a millisecond apart, the execution is tried again.
const BUSY_TRIES: usize = 500;
const F_SETFD: usize = 2;
const FD_CLOEXEC: usize = 1;
const PR_SET_DUMPABLE: usize = 4;
/// Limits that the kernel counts for the service's user too, so that one job could use up what all have: queued signals
/// and timers, and bytes of POSIX message queues, one of which takes 81 920. They are not in the bundle: crun sets what is
/// there before it makes the user namespace, and the kernel then holds all containers together to the limit of one
/// (`UCOUNT_RLIMIT_*` of create_user_ns, kernel 5.14).
const SHARED_LIMITS: [(usize, u64); 2] = [(RLIMIT_SIGPENDING, 1024), (RLIMIT_MSGQUEUE, 163_840)];
const RLIMIT_SIGPENDING: usize = 11;
const RLIMIT_MSGQUEUE: usize = 12;
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
    let millisecond = [0i64, 1_000_000];
    // SAFETY: the mask outlives the call; both arrays are ended by NULL.
    let mut error = unsafe {
        call(nr::RT_SIGPROCMASK, SIG_SETMASK, &raw const none as usize, 0, SIGSET_BYTES);
        call(nr::EXECVE, *argv, argv as usize, envp as usize, 0)
    };
    for _ in 0..BUSY_TRIES {
        if error != ETXTBSY {
            break;
        }
        // SAFETY: the span outlives the call; the arrays as above.
        error = unsafe {
            call(nr::NANOSLEEP, &raw const millisecond as usize, 0, 0, 0);
            call(nr::EXECVE, *argv, argv as usize, envp as usize, 0)
        };
    }
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

/// A message and the words in it.
struct Message {
    bytes: [u8; MESSAGE_MAX],
    words: [usize; WORDS_MAX + 1],
}

static mut MESSAGE: Message = Message { bytes: [0; MESSAGE_MAX], words: [0; WORDS_MAX + 1] };

/// Waits for the word to begin; the words that came with it, or null for none. Ends the process where it does not come.
unsafe fn wait_for_word() -> *const usize {
    let message = &raw mut MESSAGE;
    // SAFETY: there is one thread, and nobody else names this static.
    let message = unsafe { &mut *message };
    let mut len = 0;
    loop {
        let Some(room) = message.bytes.get_mut(len..).filter(|room| !room.is_empty()) else { fail(b"setup", E2BIG) };
        // SAFETY: the kernel writes no more than the room that is there.
        let read = unsafe { call(nr::READ, WORD, room.as_mut_ptr() as usize, room.len(), 0) };
        match read {
            EINTR => {}
            0 => break,
            n if n > 0 => len += n as usize,
            error => fail(b"setup", error),
        }
    }
    // SAFETY: a number only.
    unsafe { call(nr::CLOSE, WORD, 0, 0, 0) };
    let Some((b'g', bytes)) = message.bytes.get(..len).and_then(<[u8]>::split_last) else {
        fail(b"setup", ECANCELED)
    };
    if bytes.last().is_some_and(|&last| last != 0) {
        fail(b"setup", ECANCELED);
    }
    if bytes.is_empty() {
        return core::ptr::null();
    }
    let (mut word, mut at_start) = (0, true);
    for byte in bytes {
        if at_start {
            let Some(place) = message.words.get_mut(word).filter(|_| word < WORDS_MAX) else { fail(b"setup", E2BIG) };
            *place = core::ptr::from_ref(byte) as usize;
            word += 1;
        }
        at_start = *byte == 0;
    }
    message.words.as_ptr()
}

/// How the program is to be started, by the first word of the command line.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Now,
    Wait,
    Warm,
}

impl How {
    /// The word is a C string of its own process's stack.
    unsafe fn of(word: *const u8) -> Self {
        for (name, how) in [(b"now\0", Self::Now), (b"wait", Self::Wait), (b"warm", Self::Warm)] {
            // SAFETY: reading stops at the first difference, at the NUL at the latest.
            if name.iter().enumerate().all(|(i, &byte)| unsafe { *word.add(i) } == byte)
                // SAFETY: the four bytes before were not the end, or the name's own NUL was.
                && (name[3] == 0 || unsafe { *word.add(4) } == 0)
            {
                return how;
            }
        }
        fail(b"setup", EINVAL)
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
    }
    if argc < 3 {
        fail(b"setup", EINVAL);
    }
    // SAFETY: there are that many arguments, and NULL behind them, and then the environment.
    let (how, mut words, environment) =
        unsafe { (How::of(*argv.add(1) as *const u8), argv.add(2), argv.add(argc + 1)) };
    // SAFETY: numbers only.
    unsafe {
        // Whatever a runtime may have left open. An older kernel has no such call: then this is one defence less, and
        // the runtime's own closing remains.
        let first = if how == How::Now { WORD } else { WORD + 1 };
        call(nr::CLOSE_RANGE, first, u32::MAX as usize, 0, 0);
    }
    for (limit, most) in SHARED_LIMITS {
        // Soft and hard. The job's own, since it inherits them.
        let both = [most; 2];
        // SAFETY: the pair outlives the call, which only reads it.
        unsafe { must(call(nr::PRLIMIT64, 0, limit, both.as_ptr() as usize, 0)) };
    }
    if how == How::Wait {
        // SAFETY: called once.
        let told = unsafe { wait_for_word() };
        if !told.is_null() {
            words = told;
        }
    }
    // An ignored SIGCHLD would have the kernel throw the exit status away (wait(2), notes).
    default_action(SIGCHLD);
    // SAFETY: as fork(2); the child gets a copy of everything.
    let main = unsafe { call(nr::CLONE, SIGCHLD, 0, 0, 0) };
    if main < 0 {
        fail(b"fork", main);
    }
    if main == 0 {
        // SAFETY: both arrays end with NULL.
        unsafe { child(words, environment) }
    }
    if how == How::Warm {
        // SAFETY: a number only. The program alone is to see the end of it.
        unsafe { call(nr::CLOSE, WORD, 0, 0, 0) };
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
