//! A child that does a long piece of work with helpers of its own: waited for to its end, or ended together with all of
//! them when a signal asks for it. Only for a process that has one thread and no other child.

use std::collections::BTreeSet;
use std::io;

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, killpg, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgid, getpid};

use crate::sys::fork::{Side, fork};

/// Runs `work` in a child and returns its exit status. SIGTERM, SIGINT and SIGHUP are passed on to the child and then to
/// each helper that it leaves behind; a second one kills what is left. Returns when all are gone, with 128 and the
/// signal's number.
///
/// # Errors
/// What the kernel refused.
pub(super) fn carry(work: impl FnOnce() -> u8) -> io::Result<u8> {
    // What the child leaves behind becomes ours then, so that it can be found and waited for.
    prctl::set_child_subreaper(true)?;
    let mask: SigSet = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD].into_iter().collect();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
    let status = match fork()? {
        Side::Child => {
            sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&mask), None)?;
            std::process::exit(work().into());
        }
        Side::Parent(child) => Waiting { child, status: None, asked: None, told: BTreeSet::new() }.wait(&mask),
    };
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&mask), None)?;
    prctl::set_child_subreaper(false)?;
    status
}

struct Waiting {
    child: Pid,
    /// Of the child, once it has ended.
    status: Option<u8>,
    /// The signal that asked for the end.
    asked: Option<Signal>,
    /// Processes that have been told to end; once is enough, for they clear up.
    told: BTreeSet<Pid>,
}

impl Waiting {
    fn wait(mut self, mask: &SigSet) -> io::Result<u8> {
        let signals = SignalFd::with_flags(mask, SfdFlags::SFD_CLOEXEC)?;
        loop {
            let all_gone = self.reap()?;
            match (self.status, self.asked) {
                (Some(status), None) => return Ok(status),
                (_, Some(signal)) if all_gone => return Ok(by_signal(signal)),
                (_, Some(_)) => self.tell(Signal::SIGTERM)?,
                (None, None) => {}
            }
            let Some(info) = signals.read_signal()? else { continue };
            let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            let Some(signal) = signal.filter(|signal| *signal != Signal::SIGCHLD) else { continue };
            if self.asked.replace(signal).is_some() {
                self.told.clear();
                self.tell(Signal::SIGKILL)?;
            }
        }
    }

    /// Takes note of all that have ended; whether there is no child any more.
    fn reap(&mut self) -> io::Result<bool> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => return Ok(false),
                Ok(WaitStatus::Exited(pid, status)) if pid == self.child => {
                    self.status = Some(u8::try_from(status).unwrap_or(u8::MAX));
                }
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == self.child => {
                    self.status = Some(by_signal(signal));
                    // It cannot have ended its helpers.
                    self.asked.get_or_insert(signal);
                }
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => return Ok(true),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn tell(&mut self, signal: Signal) -> io::Result<()> {
        for pid in children()? {
            if self.told.insert(pid) {
                // One that leads a group is a program with programs of its own, and may wait for them patiently.
                let leads = getpgid(Some(pid)) == Ok(pid);
                match if leads { killpg(pid, signal) } else { kill(pid, signal) } {
                    // EPERM: a process of other ids goes when the one goes that can end it.
                    Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
        }
        Ok(())
    }
}

fn by_signal(signal: Signal) -> u8 {
    u8::try_from(128 + signal as i32).unwrap_or(u8::MAX)
}

/// The children of this process, adopted ones included. Not every kernel lists them in one file.
fn children() -> io::Result<Vec<Pid>> {
    let me = getpid().as_raw();
    let pids = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mine = pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name stands in brackets and may hold any; state and parent follow it (proc(5)).
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
        parent.and_then(|text| text.parse().ok()) == Some(me)
    });
    Ok(mine.map(Pid::from_raw).collect())
}
