//! Storing and reading what must not be lost because the disk is full or broken for a while.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::error;

use super::Ledger;
use crate::model::JobId;
use crate::store::{Answer, StoreError};
use crate::telemetry::{Tag, chain};

/// The first pause before another attempt; each is twice the one before.
pub(super) const FIRST: Duration = Duration::from_millis(50);

/// The longest pause.
pub(super) const LONGEST: Duration = Duration::from_secs(2);

impl Ledger {
    /// Asks the store until it has done it or it can never be done. `None` when `stop` fires before that.
    pub(super) async fn persist<'a, T>(
        &self,
        stop: &CancellationToken,
        what: &str,
        id: JobId,
        ask: impl Fn() -> Answer<'a, T>,
    ) -> Option<Result<T, StoreError>> {
        let mut pause = FIRST;
        loop {
            match ask().await {
                Ok(done) => return Some(Ok(done)),
                Err(failure) => {
                    error!(tag = %Tag::Exec(id), "{what}: {}", chain(&failure));
                    if !matches!(failure, StoreError::Read(_) | StoreError::Write(_)) {
                        return Some(Err(failure));
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST),
            }
        }
    }
}
