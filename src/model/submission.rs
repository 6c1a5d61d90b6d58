//! A job on its way, as the store keeps it.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{JobId, JobReport, Owner};

/// Where a submission stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Accepted and stored; waits for a place in the bounded queue.
    Pending,
    /// Has a place in the bounded queue.
    Queued,
    /// A worker has it.
    Running,
    /// Ended with success.
    Completed,
    /// Ended otherwise.
    Failed,
}

impl State {
    /// The word for it on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing changes any more.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

/// What anybody may ask of a submission at any time. The program and its input are not part of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Submission {
    /// Its name.
    pub id: JobId,
    /// Who submitted it; nobody where no token was asked for.
    #[serde(default)]
    pub owner: Option<Owner>,
    /// The language it runs as.
    pub language: String,
    /// Where it stands.
    pub state: State,
    /// When it was accepted.
    pub queued_at: SystemTime,
    /// When a worker took it.
    pub started_at: Option<SystemTime>,
    /// When it ended.
    pub completed_at: Option<SystemTime>,
    /// Everything about the ending; present exactly when the state is an ending, unless it was asked for without.
    pub report: Option<JobReport>,
}
