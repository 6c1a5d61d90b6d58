//! Reports that are read by those who follow a submission to its end: one copy for all who follow the same, within the room
//! that all results have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::http::problem::Problem;
use crate::http::room::Guest;
use crate::http::routes::{Edge, SMALL, found};
use crate::http::v1::document;
use crate::model::{JobId, Submission};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Endings(Mutex<HashMap<JobId, Weak<Ending>>>);

/// The report of one submission, while somebody reads it.
#[derive(Debug, Default)]
pub struct Ending {
    held: OnceCell<Held>,
    gone: CancellationToken,
}

/// What is held.
#[derive(Debug)]
pub struct Held {
    /// With its report.
    pub submission: Arc<Submission>,
    guest: Option<Guest>,
}

impl Endings {
    /// The report that others read already, or one that is still to be fetched.
    pub fn enter(&self, id: JobId) -> Arc<Ending> {
        // Nothing inside the lock can panic half-way, so a poisoned lock still guards a whole value.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let there = all.get(&id).and_then(Weak::upgrade);
        if let Some(ending) = there.filter(|ending| !ending.gone.is_cancelled()) {
            return ending;
        }
        all.retain(|_, ending| ending.strong_count() > 0);
        let ending = Arc::<Ending>::default();
        all.insert(id, Arc::downgrade(&ending));
        ending
    }
}

impl Ending {
    /// Fires when its room is wanted by others.
    pub const fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// The report, once there is room for it.
    ///
    /// # Errors
    /// [`Problem::TooMany`] where there was none for too long, [`Problem::Unreadable`], [`Problem::UnknownId`].
    pub async fn hold(&self, edge: &Edge, id: JobId) -> Result<&Held, Problem> {
        self.held.get_or_try_init(|| self.fetch(edge, id)).await
    }

    async fn fetch(&self, edge: &Edge, id: JobId) -> Result<Held, Problem> {
        let reading = edge.reads.acquire().await.map_err(|_| Problem::Internal)?;
        let submission = found(id, edge.ledger.lookup(id).await)?;
        let parts = document::parts(&submission).map_err(crate::http::routes::unwritten)?;
        let size: u64 = parts.iter().map(|part| part.held(&submission)).sum();
        if size <= SMALL as u64 {
            return Ok(Held { submission, guest: None });
        }
        // Not held while room for it is waited for; an ended submission does not change.
        drop((submission, parts, reading));
        let guest = edge.results.enter(&self.gone);
        guest.grow(size, edge.http.write_time).await.map_err(|_| Problem::TooMany("results"))?;
        Ok(Held { submission: found(id, edge.ledger.lookup(id).await)?, guest: Some(guest) })
    }
}

impl Held {
    /// One of its readers takes so many bytes.
    pub fn moved(&self, bytes: usize) {
        if let Some(guest) = &self.guest {
            guest.moved(bytes as u64);
        }
    }
}
