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
