//! A file that a run has left, for its client.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of one path that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// As it was asked for, below `/tmp`.
    pub path: String,
    /// The first bytes of what is in it, as many as are kept.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// How long it is.
    pub size: u64,
    /// Why there is nothing of it.
    pub missing: Option<NotCollected>,
}

/// Why a path was not collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NotCollected {
    /// There is nothing of this name.
    NotFound,
    /// A link is in it; links are not followed.
    Link,
    /// It is no regular file.
    NoFile,
    /// It cannot be read.
    Unreadable,
}
