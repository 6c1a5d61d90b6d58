//! What the service takes from itself as soon as it is in its namespaces, whoever started it: with no_new_privs what a
//! setuid program could give, with a filter the system calls that nobody here asks for, and every place to write but its
//! own. All of it is inherited by what it starts; a job has a filter and mounts of its own on top, which are much narrower.
//!
//! What it does not do: the service has to be able to mount, for every launch does, so that code of a stranger *in the
//! service* could make a place writable again, as far as file permissions let the account. It is for mistakes that write
//! where they should not, and for the kernel behind calls that nobody misses.

mod filter;
mod mounts;

use std::io;
use std::path::PathBuf;

use nix::errno::Errno;
use thiserror::Error;

pub use filter::refuse_calls;
pub use mounts::{Open, keep_only, open};

/// What the service could not be kept from.
#[derive(Debug, Error)]
pub enum ConfineError {
    /// The filter is none.
    #[error("cannot compile the service's own filter of system calls")]
    Compile(#[source] seccompiler::BackendError),
    /// The kernel does not take it.
    #[error("cannot set no_new_privs and the service's own filter of system calls")]
    Filter(#[source] seccompiler::Error),
    /// See the source.
    #[error("cannot read the mount table")]
    Table(#[source] io::Error),
    /// A place of the service's own cannot stay open for writing alone.
    #[error("cannot mount {} upon itself, to leave it writable", path.display())]
    Keep {
        /// The place.
        path: PathBuf,
        /// Why.
        #[source]
        source: Errno,
    },
    /// See the source.
    #[error("cannot make {} read-only for the service", path.display())]
    Seal {
        /// The mount point.
        path: PathBuf,
        /// Why.
        #[source]
        source: Errno,
    },
    /// The kernel said yes, and it is not so.
    #[error("{} can still be written to by the service", .0.display())]
    StillOpen(PathBuf),
}
