//! fork(2) of a process that has one thread. Not for anything that runs after the first thread was started.

use std::io;

use nix::unistd::Pid;

/// The side of the fork that this is.
#[derive(Debug)]
pub enum Side {
    /// The process that called, with the new one's id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Forks.
///
/// # Errors
/// When another thread exists ([`io::ErrorKind::Unsupported`]: only async-signal-safe calls would be allowed in the
/// child), or when the kernel refuses.
pub fn fork() -> io::Result<Side> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "fork was asked for after a thread was started"));
    }
    // SAFETY: this process has a single thread (checked above), so no lock can be held by a thread that the child
    // does not have.
    Ok(match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Parent { child } => Side::Parent(child),
        nix::unistd::ForkResult::Child => Side::Child,
    })
}
