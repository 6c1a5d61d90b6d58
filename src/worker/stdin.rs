//! A job's standard input: a pipe that holds its bytes and then ends.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Sender;

/// What did not fit into the pipe at once.
#[derive(Debug)]
pub(super) struct Rest<'a> {
    pipe: Sender,
    bytes: &'a [u8],
}

/// The job's end, already holding as much as the kernel takes; and what is left to write while the job runs.
pub(super) fn open(bytes: &[u8], owner: u32) -> io::Result<(OwnedFd, Option<Rest<'_>>)> {
    let (read, write) = super::capture::pipe(owner)?;
    if bytes.is_empty() {
        return Ok((read, None));
    }
    let pipe = Sender::from_owned_fd(write)?;
    // A fresh pipe has room, so that this is no guess about readiness.
    let fd = std::os::fd::AsFd::as_fd(&pipe);
    let written = rustix::io::write(fd, bytes)?;
    let rest = &bytes[written..];
    Ok((read, (!rest.is_empty()).then_some(Rest { pipe, bytes: rest })))
}

impl Rest<'_> {
    /// Writes what is left, then closes. A job that closes its input early is no error.
    pub(super) async fn pump(mut self) {
        let _ = self.pipe.write_all(self.bytes).await;
    }
}
