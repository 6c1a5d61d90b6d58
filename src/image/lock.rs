//! flock(2) on an open file: the lock belongs to the open file, so a descriptor handed to a child keeps it alive.

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Waits for the exclusive lock.
pub(super) fn exclusive(file: &File) -> io::Result<()> {
    wait(file, FlockOperation::LockExclusive)
}

/// Waits for a shared lock.
pub(super) fn shared(file: &File) -> io::Result<()> {
    wait(file, FlockOperation::LockShared)
}

/// Takes the exclusive lock and says `true`, or says `false` at once if another holds any.
pub(super) fn try_exclusive(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn wait(file: &File, operation: FlockOperation) -> io::Result<()> {
    Ok(rustix::io::retry_on_intr(|| flock(file, operation))?)
}
