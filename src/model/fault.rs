//! What went wrong on our side of the wall.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A failure of the service, not of the program. The text is what a client may see: it names no path of the host.
/// The log has the cause.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A step of preparing the sandbox failed.
    #[error("the sandbox could not be prepared")]
    Prepare,
    /// The OCI runtime failed, hung or could not be started.
    #[error("the container runtime failed")]
    Runtime,
    /// A limit read back from the job's cgroup was not the one that was set.
    #[error("a limit could not be enforced")]
    Limits,
    /// The container ended and left no usable evidence of why.
    #[error("the sandbox ended without a report")]
    NoEvidence,
    /// The language was accepted earlier and is not known any more.
    #[error("the language is no longer available")]
    LanguageGone,
    /// The submission could not be read back from the store.
    #[error("the submission could not be read")]
    Store,
    /// The service was stopped while the job ran.
    #[error("interrupted")]
    Interrupted,
}
