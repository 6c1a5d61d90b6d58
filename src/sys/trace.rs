//! Watches the system calls of what a process starts, from a process of its own (ptrace(2)).
//!
//! Only watches: what is watched runs under the filter that it has, and the kernel asks that filter after it has stopped for
//! the watcher (since 4.8; seccomp(2)), so that nothing here can let a call through. When the watcher ends, the kernel kills
//! what it watches. It is a process and not a thread, for wait(2) tells it of stops, and in the service only the reaper waits.

use std::collections::HashMap;
use std::io::{self, Write};
use std::ptr;

use nix::unistd::Pid;

/// The native table of this machine (linux/audit.h, `AUDIT_ARCH_*`).
pub const NATIVE: u32 = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };

/// How a stop is told apart that is neither a signal's nor a call's (linux/ptrace.h).
const EVENT_STOP: libc::c_int = 128;

/// What was watched ends with the watcher; stops of calls are told apart from signals; what is started is watched too.
const OPTIONS: libc::c_int = libc::PTRACE_O_EXITKILL
    | libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC;

/// What a call returns to the kernel itself when a signal came first (include/linux/errno.h, `ERESTARTSYS` and two more): it
/// is made once more, unless the program has a handler that wants it interrupted. Nothing that a filter refuses returns it.
const RESTARTED: std::ops::RangeInclusive<i64> = -514..=-512;

/// Calls through the x32 table of the native one's machines carry this bit (syscall(2)).
pub const X32: u64 = 0x4000_0000;

/// clone(2): the new process is not watched.
pub const CLONE_UNTRACED: u64 = 0x0080_0000;

/// One call of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The table that it came through (`AUDIT_ARCH_*`).
    pub arch: u32,
    /// Its number in that table.
    pub number: u64,
    /// Its arguments.
    pub args: [u64; 6],
    /// What came of it.
    pub end: End,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It returned this: what was asked for, or a negative errno(3).
    Returned(i64),
    /// Its thread ended in it.
    Ended,
    /// Its thread was ended by SIGSYS: the filter's answer.
    Killed,
}

impl Seen {
    /// How long one is in bytes.
    pub const SIZE: usize = 72;

    /// Whether it came through the machine's own table. The number -1, which tracers write in place of a call that is to be left
    /// out, is of no table.
    #[must_use]
    pub const fn native(&self) -> bool {
        self.arch == NATIVE && (self.number & X32 == 0 || self.number == u64::MAX)
    }

    /// Whether a filter may have refused it: so it looks, though the kernel may have said the same. A call that starts something
    /// unwatched is told too.
    const fn may_be_refused(&self) -> bool {
        let error = match self.end {
            End::Returned(value) => value == -(libc::EPERM as i64) || value == -(libc::ENOSYS as i64),
            End::Ended => false,
            End::Killed => true,
        };
        let unwatched = self.number == libc::SYS_clone.cast_unsigned() && self.args[0] & CLONE_UNTRACED != 0;
        error || !self.native() || unwatched
    }

    fn to_bytes(self) -> [u8; Self::SIZE] {
        let (kind, value) = match self.end {
            End::Returned(value) => (0, value),
            End::Ended => (1, 0),
            End::Killed => (2, 0),
        };
        let head = u64::from(self.arch) | kind << 32;
        let words = [head, self.number].into_iter().chain(self.args).chain([value.cast_unsigned()]);
        let mut bytes = [0; Self::SIZE];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// What the watcher wrote; `None` for what it never writes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8; Self::SIZE]) -> Option<Self> {
        let mut words = [0; Self::SIZE / 8];
        for (word, place) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_le_bytes(place.try_into().ok()?);
        }
        let [head, number, a, b, c, d, e, f, value] = words;
        let end = match head >> 32 {
            0 => End::Returned(value.cast_signed()),
            1 => End::Ended,
            2 => End::Killed,
            _ => return None,
        };
        Some(Self { arch: u32::try_from(head & 0xffff_ffff).ok()?, number, args: [a, b, c, d, e, f], end })
    }
}

/// The byte that says that the watching has begun.
pub const BEGUN: u8 = b'b';

/// Watches what `starter` starts from now on, until all of it and `starter` have ended. Writes [`BEGUN`], and then each call
/// as [`Seen`] from the moment on at which the first program has been executed; without `all`, only calls that a filter may
/// have refused. To be called in a process without children.
///
/// # Errors
/// When the kernel lets nobody watch, or `out` takes no more. What is watched ends then, with the caller.
pub fn watch(starter: Pid, all: bool, out: &mut impl Write) -> io::Result<()> {
    request(libc::PTRACE_SEIZE, starter, OPTIONS.unsigned_abs() as usize)?;
    out.write_all(&[BEGUN])?;
    out.flush()?;
    let mut watch = Watch { starter, all, out, begun: false, within: HashMap::new() };
    while let Some((pid, status)) = wait()? {
        watch.stopped(pid, status)?;
    }
    watch.out.flush()
}

struct Watch<'a, W> {
    starter: Pid,
    all: bool,
    out: &'a mut W,
    /// Whether there is a program yet, or still what is to start one.
    begun: bool,
    /// By thread, the call that it is in: table, number, arguments.
    within: HashMap<Pid, (u32, u64, [u64; 6])>,
}

impl<W: Write> Watch<'_, W> {
    fn stopped(&mut self, pid: Pid, status: libc::c_int) -> io::Result<()> {
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS;
            return self.over(pid, if killed { End::Killed } else { End::Ended });
        }
        let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
        match event {
            0 if signal == libc::SIGTRAP | 0x80 => self.call(pid)?,
            0 => return self.resume(pid, self.delivered(pid, signal)),
            // A stop of the whole program, by SIGSTOP for one: it stays stopped until it is told to go on.
            EVENT_STOP if signal != libc::SIGTRAP => return gone_or(request(libc::PTRACE_LISTEN, pid, 0)),
            // The starter may still have been the runtime when it was attached to; that it becomes itself is no program's doing.
            libc::PTRACE_EVENT_EXEC if pid != self.starter => {
                // Whichever thread executes, it goes on under the number of the first.
                let former = message(pid)?.unwrap_or(pid);
                let within = self.within.remove(&former);
                // The call that brought the first program in was not its own.
                match within.filter(|_| self.begun) {
                    Some(within) => self.within.insert(pid, within),
                    None => self.within.remove(&pid),
                };
                self.begun = true;
            }
            // A new thread, and whoever started it.
            _ => {}
        }
        self.resume(pid, 0)
    }

    /// At the beginning or at the end of a call.
    fn call(&mut self, pid: Pid) -> io::Result<()> {
        let Some(Info { op, arch, data, .. }) = info(pid)? else { return Ok(()) };
        match op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                let [number, args @ .., _] = data;
                self.within.insert(pid, (arch, number, args));
                Ok(())
            }
            libc::PTRACE_SYSCALL_INFO_EXIT if RESTARTED.contains(&data[0].cast_signed()) => {
                self.within.remove(&pid);
                Ok(())
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => self.over(pid, End::Returned(data[0].cast_signed())),
            _ => Ok(()),
        }
    }

    /// The call that the thread is in has ended.
    fn over(&mut self, pid: Pid, end: End) -> io::Result<()> {
        let Some((arch, number, args)) = self.within.remove(&pid).filter(|_| self.begun) else { return Ok(()) };
        let seen = Seen { arch, number, args, end };
        if self.all || seen.may_be_refused() { self.out.write_all(&seen.to_bytes()) } else { Ok(()) }
    }

    /// What a thread gets of a signal that is sent to it. A container's process 1 cannot be stopped from inside: unwatched the
    /// kernel drops SIGSTOP at once (pid_namespaces(7)). Watched it asks the watcher, and takes what that delivers for
    /// another's who may (kernel/signal.c, `sig_task_ignored` and `get_signal`); any other that it is to drop it drops then.
    fn delivered(&self, pid: Pid, signal: libc::c_int) -> libc::c_int {
        if pid == self.starter && signal == libc::SIGSTOP { 0 } else { signal }
    }

    /// On to the next stop. Of the starter only what it starts is of interest.
    fn resume(&self, pid: Pid, signal: libc::c_int) -> io::Result<()> {
        let how = if pid == self.starter { libc::PTRACE_CONT } else { libc::PTRACE_SYSCALL };
        gone_or(request(how, pid, usize::try_from(signal).unwrap_or_default()))
    }
}

/// A stop or an end of any watched thread; `None` when there is none left.
fn wait() -> io::Result<Option<(Pid, libc::c_int)>> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes one int. Not nix's waitpid, which has no word for stops by signals of real time.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        if pid > 0 {
            return Ok(Some((Pid::from_raw(pid), status)));
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error),
        }
    }
}

/// A request that takes a number.
fn request(what: libc::c_uint, pid: Pid, data: usize) -> io::Result<()> {
    // SAFETY: none of the requests that are made here has the kernel read or write our memory.
    let result = unsafe { libc::ptrace(what, pid.as_raw(), ptr::null_mut::<libc::c_void>(), data) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Something may kill a thread at any time; then there is nothing to resume.
fn gone_or(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) })
}

/// What belongs to the event that a thread is stopped for: another thread. `None` when it is gone.
fn message(pid: Pid) -> io::Result<Option<Pid>> {
    let mut number: libc::c_ulong = 0;
    // SAFETY: the kernel writes one unsigned long.
    let result = unsafe {
        libc::ptrace(libc::PTRACE_GETEVENTMSG, pid.as_raw(), ptr::null_mut::<libc::c_void>(), &raw mut number)
    };
    if result == -1 {
        return gone_or(Err(io::Error::last_os_error())).map(|()| None);
    }
    Ok(i32::try_from(number).ok().map(Pid::from_raw))
}

/// What the kernel says of a call (ptrace(2), `PTRACE_GET_SYSCALL_INFO`; since 5.3).
#[repr(C)]
#[derive(Default)]
struct Info {
    op: u8,
    _pad: [u8; 3],
    arch: u32,
    _instruction_pointer: u64,
    _stack_pointer: u64,
    /// At the beginning the number and six arguments, at the end what is returned.
    data: [u64; 8],
}

fn info(pid: Pid) -> io::Result<Option<Info>> {
    let mut info = Info::default();
    // SAFETY: the kernel writes at most as many bytes as it is told that there are.
    let result = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid.as_raw(), size_of::<Info>(), &raw mut info) };
    if result == -1 {
        return gone_or(Err(io::Error::last_os_error())).map(|()| None);
    }
    Ok(Some(info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for end in [End::Returned(-38), End::Returned(i64::MAX), End::Ended, End::Killed] {
            let seen = Seen { arch: 0x4000_0003, number: u64::MAX, args: [1, 2, 3, 4, 5, u64::MAX], end };
            assert_eq!(Seen::of_bytes(&seen.to_bytes()), Some(seen));
        }
        assert_eq!(Seen::of_bytes(&[0xff; Seen::SIZE]), None);
    }

    #[test]
    fn what_no_filter_can_have_refused_is_not_told() {
        let read = Seen { arch: NATIVE, number: 0, args: [0; 6], end: End::Returned(3) };
        let clone = Seen { number: libc::SYS_clone.cast_unsigned(), ..read };
        for (seen, told) in [
            (read, false),
            (Seen { end: End::Returned(-13), ..read }, false),
            (Seen { end: End::Ended, ..read }, false),
            (Seen { end: End::Returned(-1), ..read }, true),
            (Seen { end: End::Returned(-38), ..read }, true),
            (Seen { end: End::Killed, ..read }, true),
            (Seen { arch: 0x4000_0003, ..read }, true),
            (Seen { number: X32, ..read }, true),
            (clone, false),
            (Seen { args: [CLONE_UNTRACED | 17, 0, 0, 0, 0, 0], ..clone }, true),
        ] {
            assert_eq!(seen.may_be_refused(), told, "{seen:?}");
        }
    }
}
