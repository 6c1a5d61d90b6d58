//! The fate of a program. Not ours: what we broke is a [`Fault`](super::Fault), what we did not accept a
//! [`Refusal`](super::Refusal).

use serde::{Deserialize, Serialize};

/// How one step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Exit status 0, within every limit.
    Ok,
    /// Another exit status.
    ExitStatus(u8),
    /// A signal that the service did not send.
    Signal(u8),
    /// The kernel killed a process of the group for memory.
    MemoryLimit,
    /// The group's processor time was used up.
    CpuLimit,
    /// The wall-clock limit passed.
    TimeLimit,
    /// More output than the limit.
    OutputLimit,
    /// Cancelled on request.
    Cancelled,
}
