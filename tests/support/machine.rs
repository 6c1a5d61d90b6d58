//! Who has the machine. Most tests share it; those that measure, or count what is left, want it for themselves.
//! `flock` works between the threads of `cargo test` and between the processes of nextest alike.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use nix::fcntl::{Flock, FlockArg};

/// A place on the machine, given up on drop.
#[derive(Debug)]
pub struct Place(Arc<Flock<File>>);

impl Place {
    /// Beside others.
    pub fn shared() -> Self {
        Self::take(FlockArg::LockShared)
    }

    /// With nobody else there.
    pub fn alone() -> Self {
        Self::take(FlockArg::LockExclusive)
    }

    /// The same place once more; it is given up with the last of them.
    pub fn again(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn take(how: FlockArg) -> Self {
        let path = std::env::temp_dir().join("cmtest-machine.lock");
        // A lock needs no right to write, so that another user's file will do.
        let file = File::open(&path).or_else(|_| OpenOptions::new().create(true).append(true).mode(0o666).open(&path));
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self(Arc::new(Flock::lock(file, how).map_err(|(_, errno)| errno).expect("the lock of the machine")))
    }

    /// The file behind it, for a child that must keep the place a little longer.
    pub fn file(&self) -> &File {
        &self.0
    }
}
