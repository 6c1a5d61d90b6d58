//! Why a submission was not accepted. A refused submission has no id and is not counted.

use std::time::Duration;

use thiserror::Error;

/// The reason, in the words of the wire contract.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The match is exact and case-sensitive.
    #[error("Unsupported language: {0}")]
    UnsupportedLanguage(String),
    /// Missing, null or the empty string.
    #[error("Code is required")]
    CodeRequired,
    /// Not JSON, not an object, cut short, or a field of the wrong type.
    #[error("Invalid request body: {0}")]
    InvalidBody(String),
    /// As many submissions wait as may wait.
    #[error("Queue is full")]
    QueueFull {
        /// When a place is likely to be free.
        retry_after: Duration,
    },
    /// The client has used its key for another submission.
    #[error("Idempotency-Key was used for another submission")]
    KeyReused,
    /// The store did not take it; nothing was accepted.
    #[error("Submissions cannot be stored at the moment")]
    StoreUnavailable,
    /// The service is going down.
    #[error("Shutting down")]
    ShuttingDown,
}
