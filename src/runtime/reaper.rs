//! The one place that waits for child processes. As process 1 of its namespace the service inherits every orphan; a
//! second waiter anywhere would steal statuses from this one.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// Endings of processes that nobody asked for yet: a container's process may end before the call that names it
/// returns. Older ones are forgotten.
const STRAYS: usize = 256;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// There was no such process, or the reaper is gone: the service is ending.
    Unknown,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Signaled(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("an unknown status"),
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    waiting: HashMap<Pid, oneshot::Sender<Ended>>,
    strays: VecDeque<Stray>,
    /// How many strays there were.
    reaped: u64,
}

#[derive(Debug)]
struct Stray {
    pid: Pid,
    ended: Ended,
    /// How many there were before it.
    number: u64,
}

/// A moment, to tell the endings after it from those before.
#[derive(Clone, Copy, Debug)]
pub struct Moment(u64);

impl Table {
    /// For whoever may still ask.
    fn keep(&mut self, pid: Pid, ended: Ended) {
        if self.strays.len() == STRAYS {
            self.strays.pop_front();
        }
        self.strays.push_back(Stray { pid, ended, number: self.reaped });
        self.reaped += 1;
    }
}

/// Waits for every child of this process.
#[derive(Clone, Debug)]
pub struct Reaper {
    table: Arc<Mutex<Table>>,
}

impl Reaper {
    /// Starts waiting. Needs a tokio runtime.
    ///
    /// # Errors
    /// When SIGCHLD cannot be listened to.
    pub fn start() -> io::Result<Self> {
        let reaper = Self { table: Arc::default() };
        let mut children = signal(SignalKind::child())?;
        let own = reaper.clone();
        tokio::spawn(async move {
            loop {
                own.reap();
                if children.recv().await.is_none() {
                    return;
                }
            }
        });
        Ok(reaper)
    }

    /// One that never hears of an ending, so that who started a process can wait for it.
    #[cfg(test)]
    pub(crate) fn deaf() -> Self {
        Self { table: Arc::default() }
    }

    /// Starts a process by `start` and watches it. It may end before `start` is over.
    ///
    /// # Errors
    /// What `start` reports.
    pub fn spawn(&self, start: impl FnOnce() -> io::Result<Pid>) -> io::Result<Child> {
        let since = self.now();
        start().map(|pid| self.adopt(pid, since))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment(self.lock().reaped)
    }

    /// Watches a process that was started after `since`, and is, or will be, our child. Its number may have
    /// been that of a process that ended before: process ids come again.
    #[must_use]
    pub fn adopt(&self, pid: Pid, since: Moment) -> Child {
        let (send, ended) = oneshot::channel();
        let mut table = self.lock();
        let its_own = table.strays.iter().find(|stray| stray.pid == pid && stray.number >= since.0);
        let its_own = its_own.map(|stray| stray.ended);
        table.strays.retain(|stray| stray.pid != pid);
        if let Some(status) = its_own {
            // The receiver is in our hands.
            let _ = send.send(status);
        } else {
            table.waiting.insert(pid, send);
        }
        drop(table);
        Child { pid, ended, seen: None, table: self.table.clone() }
    }

    fn reap(&self) {
        let mut table = self.lock();
        loop {
            let (pid, ended) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, Ended::Exited(status)),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Ended::Signaled(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => continue,
            };
            match table.waiting.remove(&pid) {
                // Nobody listens any more: then nobody needs it.
                Some(send) => drop(send.send(ended)),
                None => table.keep(pid, ended),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that is being waited for.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    ended: oneshot::Receiver<Ended>,
    seen: Option<Ended>,
    table: Arc<Mutex<Table>>,
}

impl Child {
    /// Its process id, good for as long as it was not reaped.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    /// Its ending, when it comes. May be asked for again.
    pub async fn ended(&mut self) -> Ended {
        if let Some(seen) = self.seen {
            return seen;
        }
        let ended = (&mut self.ended).await.unwrap_or(Ended::Unknown);
        self.seen = Some(ended);
        ended
    }

    /// Its ending, if it has ended already.
    pub fn ended_already(&mut self) -> Option<Ended> {
        if self.seen.is_none() {
            self.seen = self.ended.try_recv().ok();
        }
        self.seen
    }

    /// Sends SIGKILL, unless it was reaped already: then the id may be somebody else's.
    pub fn kill(&self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.waiting.contains_key(&self.pid) && kill(self.pid, Signal::SIGKILL) == Err(Errno::ESRCH) {
            // A child that was not reaped exists: there never was one of this number, and its end would never come.
            if let Some(send) = table.waiting.remove(&self.pid) {
                // The receiver is in our hands.
                let _ = send.send(Ended::Unknown);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_belongs_to_the_process_that_it_came_from() {
        let reaper = Reaper { table: Arc::default() };
        let (pid, other) = (Pid::from_raw(4_000_001), Pid::from_raw(4_000_002));
        let before = reaper.now();
        reaper.lock().keep(pid, Ended::Exited(3));
        let after = reaper.now();
        // The number again, for a process that was started later and runs.
        assert_eq!(reaper.adopt(pid, after).ended_already(), None);
        // What ends before the call that names it returns is not missed.
        reaper.lock().keep(other, Ended::Exited(4));
        assert_eq!(reaper.adopt(other, before).ended_already(), Some(Ended::Exited(4)));
        assert!(reaper.lock().strays.is_empty());
    }

    #[test]
    fn a_process_that_there_is_not_is_not_waited_for() {
        let reaper = Reaper { table: Arc::default() };
        // More than the kernel's largest (PID_MAX_LIMIT, 2^22).
        let mut child = reaper.adopt(Pid::from_raw(5_000_000), reaper.now());
        assert_eq!(child.ended_already(), None);
        child.kill();
        assert_eq!(child.ended_already(), Some(Ended::Unknown));
    }
}
