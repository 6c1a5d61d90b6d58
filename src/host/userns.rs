//! Enters the service's own user, mount, cgroup and pid namespaces, once, before any thread exists.
//!
//! Two processes come out of it. The *inner* one is process 1 of the pid namespace and is the service: when it ends,
//! however it ends, the kernel kills every container with it (pid_namespaces(7)). The *outer* one stays behind to pass
//! signals in and the exit status out, and takes the inner one along when it is killed.
//!
//! A third process lives for a moment: `newuidmap` refuses callers inside the namespace that it maps, so somebody has
//! to stay outside to call it.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid, getgid, getpid, getuid, setgroups, setresgid, setresuid};
use thiserror::Error;

use super::confine::{ConfineError, keep_only, refuse_calls};
use crate::sys::fork::{Side, fork};

/// How many subordinate ids the service maps: ids 1 to this inside its user namespace.
pub const SUBORDINATE_IDS: u32 = 65_536;

/// The ranges of subordinate ids that the serving user owns (subuid(5), subgid(5)), each [`SUBORDINATE_IDS`] long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// First subordinate user id, as the initial namespace counts.
    pub uid: u32,
    /// First subordinate group id.
    pub gid: u32,
}

/// Which step of entering failed.
#[derive(Debug, Error)]
pub enum EnterError {
    /// See the source.
    #[error("cannot make a pipe")]
    Pipe(#[source] io::Error),
    /// See the source.
    #[error("cannot fork")]
    Fork(#[source] io::Error),
    /// The kernel or a security module forbids user namespaces.
    #[error("cannot make a user namespace; `casemate doctor` says what forbids it")]
    Unshare(#[source] Errno),
    /// `newuidmap` or `newgidmap` failed; the text is theirs.
    #[error("cannot map subordinate ids: {0}")]
    Map(String),
    /// See the source.
    #[error("cannot become root inside the user namespace")]
    Identity(#[source] Errno),
    /// See the source.
    #[error("cannot mount {what} in the service's own mount namespace")]
    Mount {
        /// What was to be mounted.
        what: &'static str,
        /// Why it was not.
        #[source]
        source: Errno,
    },
    /// See the source.
    #[error("cannot settle in the cgroup that was handed over")]
    Settle(#[source] io::Error),
    /// Nothing is served by a service that could not be confined.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// See the source.
    #[error("cannot pass signals to the service")]
    Signals(#[source] Errno),
}

/// Which of the two processes this is.
#[derive(Debug)]
pub enum Entered {
    /// Process 1 of the new pid namespace: go on and serve.
    Inner,
    /// The service has ended; leave with its exit status.
    Outer(ExitCode),
}

/// Enters the namespaces. In the outer process this returns only when the inner one has ended; in the inner one signals that
/// are passed on to it are still blocked (`crate::shutdown::Signals`). `settle` is called once
/// the cgroup namespace has its root, before there are two processes. Both are confined (`confine`) when this returns, and of
/// all files only those below `own` can be written.
///
/// # Errors
/// When any step fails; the process is then in an undefined mixture of namespaces and should end.
pub fn enter(ranges: Ranges, own: &[&Path], settle: impl FnOnce() -> io::Result<()>) -> Result<Entered, EnterError> {
    let outside = (getuid(), getgid());
    let mapper = Mapper::start(ranges)?;
    unshare(
        CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWPID,
    )
    .map_err(EnterError::Unshare)?;
    mapper.map(outside)?;
    become_root()?;
    settle().map_err(EnterError::Settle)?;
    // newuidmap has done its work; from here on no program is started that would need more.
    refuse_calls()?;

    let mask = pass_on();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None).map_err(EnterError::Signals)?;
    // Held by the outer process alone: its end is how the inner one learns that there is none any more.
    let (alive, held) = io::pipe().map_err(EnterError::Pipe)?;
    match fork().map_err(EnterError::Fork)? {
        Side::Parent(inner) => {
            drop(alive);
            let status = forward(inner, &mask)?;
            drop(held);
            Ok(Entered::Outer(status))
        }
        Side::Child => {
            drop(held);
            prctl::set_pdeathsig(Signal::SIGKILL).map_err(EnterError::Signals)?;
            let mut ends = [PollFd::new(alive.as_fd(), PollFlags::empty())];
            if poll(&mut ends, PollTimeout::ZERO).map_err(EnterError::Signals)? != 0 {
                // The outer process ended before the kernel was told to take this one along.
                std::process::exit(1);
            }
            // Signals stay blocked: process 1 would lose them before it has handlers. `Signals::listen` lets them in.
            private_mounts()?;
            keep_only(own)?;
            Ok(Entered::Inner)
        }
    }
}

/// The process that stays outside until the maps are written.
struct Mapper {
    pid: Pid,
    go: io::PipeWriter,
    answer: io::PipeReader,
}

impl Mapper {
    fn start(ranges: Ranges) -> Result<Self, EnterError> {
        let target = getpid();
        let (mut wait, go) = io::pipe().map_err(EnterError::Pipe)?;
        let (answer, mut say) = io::pipe().map_err(EnterError::Pipe)?;
        match fork().map_err(EnterError::Fork)? {
            Side::Parent(pid) => Ok(Self { pid, go, answer }),
            Side::Child => {
                drop((go, answer));
                let mut outside = [0; 8];
                if wait.read_exact(&mut outside).is_ok()
                    && let Err(text) = write_maps(target, ranges, outside)
                {
                    // Nobody to tell if the pipe is gone: the parent has then ended.
                    let _ = say.write_all(text.as_bytes());
                }
                std::process::exit(0);
            }
        }
    }

    fn map(mut self, (uid, gid): (Uid, Gid)) -> Result<(), EnterError> {
        let mut ids = [0; 8];
        ids[..4].copy_from_slice(&uid.as_raw().to_ne_bytes());
        ids[4..].copy_from_slice(&gid.as_raw().to_ne_bytes());
        self.go.write_all(&ids).map_err(EnterError::Pipe)?;
        let mut text = String::new();
        self.answer.read_to_string(&mut text).map_err(EnterError::Pipe)?;
        waitpid(self.pid, None).map_err(|errno| EnterError::Fork(errno.into()))?;
        if text.is_empty() { Ok(()) } else { Err(EnterError::Map(text)) }
    }
}

fn write_maps(target: Pid, ranges: Ranges, outside: [u8; 8]) -> Result<(), String> {
    let [a, b, c, d, e, f, g, h] = outside;
    let own = [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])];
    for (program, own, first) in [("newuidmap", own[0], ranges.uid), ("newgidmap", own[1], ranges.gid)] {
        let output = Command::new(program_path(program))
            .arg(target.to_string())
            .args(["0", &own.to_string(), "1"])
            .args(["1", &first.to_string(), &SUBORDINATE_IDS.to_string()])
            .output()
            .map_err(|error| format!("{program} cannot be started: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            // It begins with its name, as most of the time.
            let words = said.trim().trim_start_matches(&format!("{program}: "));
            return Err(format!("{program}: {words}"));
        }
    }
    Ok(())
}

/// Where Debian installs it; a `PATH` without `/usr/bin` is not asked.
fn program_path(name: &str) -> PathBuf {
    let usual = PathBuf::from("/usr/bin").join(name);
    if usual.exists() { usual } else { PathBuf::from(name) }
}

fn become_root() -> Result<(), EnterError> {
    // No group of the host's stays with us: a supplementary group could open files that the account itself cannot.
    setgroups(&[]).map_err(EnterError::Identity)?;
    let (root, wheel) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(wheel, wheel, wheel).map_err(EnterError::Identity)?;
    setresuid(root, root, root).map_err(EnterError::Identity)
}

fn private_mounts() -> Result<(), EnterError> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|source| EnterError::Mount { what: "everything as private", source })?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none)
        .map_err(|source| EnterError::Mount { what: "/proc", source })
}

/// Signals that the outer process handles.
fn pass_on() -> SigSet {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGCHLD] {
        set.add(signal);
    }
    set
}

/// Passes signals to the inner process until it ends. A signal that the kernel itself sent came from the terminal and
/// has reached the whole foreground group already, so it is not passed on a second time.
fn forward(inner: Pid, mask: &SigSet) -> Result<ExitCode, EnterError> {
    let signals = SignalFd::with_flags(mask, SfdFlags::SFD_CLOEXEC).map_err(EnterError::Signals)?;
    loop {
        match waitpid(inner, Some(WaitPidFlag::WNOHANG)).map_err(EnterError::Signals)? {
            WaitStatus::Exited(_, status) => return Ok(ExitCode::from(u8::try_from(status).unwrap_or(u8::MAX))),
            WaitStatus::Signaled(_, signal, _) => {
                return Ok(ExitCode::from(u8::try_from(128 + signal as i32).unwrap_or(u8::MAX)));
            }
            _ => {}
        }
        let Some(info) = signals.read_signal().map_err(EnterError::Signals)? else { continue };
        let from_kernel = info.ssi_code == libc::SI_KERNEL;
        let signal = i32::try_from(info.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok());
        if let Some(signal) = signal.filter(|&s| s != Signal::SIGCHLD && !from_kernel) {
            match kill(inner, signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => return Err(EnterError::Signals(errno)),
            }
        }
    }
}
