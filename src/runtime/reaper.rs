//! The one place that waits for child processes. As process 1 of its namespace the service inherits every orphan; a
//! second waiter anywhere would steal statuses from this one.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::sys::spawn::Spawned;

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
    /// The reaper is gone: the service is ending.
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
    strays: VecDeque<(Pid, Ended)>,
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

    /// Forks a process by `start` and watches it. Nothing is reaped meanwhile, so that no ending is missed.
    ///
    /// # Errors
    /// What `start` reports.
    pub fn spawn(&self, start: impl FnOnce() -> io::Result<Spawned>) -> io::Result<(Child, Spawned)> {
        let mut table = self.lock();
        let spawned = start()?;
        let pid = spawned.pid;
        // The number may have been another process's before, whose ending nobody asked for.
        table.strays.retain(|(stray, _)| *stray != pid);
        let (send, ended) = oneshot::channel();
        table.waiting.insert(pid, send);
        drop(table);
        Ok((Child { pid, ended, seen: None, table: self.table.clone() }, spawned))
    }

    /// Watches a process that was started by somebody else and is, or will be, our child.
    #[must_use]
    pub fn adopt(&self, pid: Pid) -> Child {
        let (send, ended) = oneshot::channel();
        let mut table = self.lock();
        if let Some(at) = table.strays.iter().position(|(p, _)| *p == pid) {
            if let Some((_, status)) = table.strays.remove(at) {
                // The receiver is in our hands.
                let _ = send.send(status);
            }
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
                None => {
                    if table.strays.len() == STRAYS {
                        table.strays.pop_front();
                    }
                    table.strays.push_back((pid, ended));
                }
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
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.waiting.contains_key(&self.pid) {
            // It is our child and not reaped, so that it exists; the kernel has no other reason to refuse.
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}
