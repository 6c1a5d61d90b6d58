//! Waiting for a descriptor of a kind that tokio has no type for.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;

/// `fd`, watched by the runtime that this is called in.
///
/// # Errors
/// When the kernel refuses to watch it.
pub fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is one open descriptor, the same for as long as it lives; AsyncFd owns it from here on.
    unsafe { AsyncFd::register(fd) }.map_err(Into::into)
}
