//! What a client names a submission with, so that sending it again does not submit again.

use serde::{Deserialize, Serialize};

/// A client's own name for a submission, and what was sent under it. Equal when both are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// The name.
    pub name: String,
    /// The SHA-256 (FIPS 180-4) of the request's body.
    pub body: [u8; 32],
}

impl IdempotencyKey {
    /// The key of one submission of a batch that came under this one. No client can choose it: it has a NUL in it.
    #[must_use]
    pub fn part(&self, number: usize) -> Self {
        Self { name: format!("{}\0{number}", self.name), body: self.body }
    }
}
