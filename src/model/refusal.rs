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
    /// A field has a value that it cannot have.
    #[error("{field}: {wrong}")]
    BadValue {
        /// Its path in the request.
        field: String,
        /// What it is, where that can be shown.
        value: Option<String>,
        /// What is wrong with it.
        wrong: String,
        /// What to do.
        remedy: String,
    },
    /// A number is not a whole one within its bounds.
    #[error("{field} is {value}: it may be {least} to {most}")]
    OutOfRange {
        /// Its path in the request.
        field: String,
        /// What it is, as it was written.
        value: String,
        /// What it may be at least.
        least: u64,
        /// And at most: the operator's ceiling, or the language's own limit where that is higher.
        most: u64,
    },
    /// As many submissions wait as may wait.
    #[error("Queue is full")]
    QueueFull {
        /// When a place is likely to be free.
        retry_after: Duration,
    },
    /// The token's submissions come faster than its rate.
    #[error("Too many submissions in a short time")]
    RateExceeded {
        /// When the next one fits.
        retry_after: Duration,
    },
    /// As many of the token's submissions wait as may, by number or by size.
    #[error("Too many submissions of this token wait")]
    TooManyWaiting {
        /// When one of them is likely to have gone.
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

impl Refusal {
    /// A field that has too many of something.
    #[must_use]
    pub fn too_many(field: impl Into<String>, number: usize, most: usize, what: &str) -> Self {
        let (field, value) = (field.into(), Some(number.to_string()));
        let (wrong, remedy) = (format!("it has too many {what}"), format!("give at most {most} {what}"));
        Self::BadValue { field, value, wrong, remedy }
    }
}
