//! Submissions page by page, the newest first.

use std::sync::Arc;

use super::{Ledger, at_rest};
use crate::model::{Owner, State, Submission};
use crate::store::{Place, StoreError};

/// Submissions that are read at once.
const BATCH: usize = 64;

/// Submissions that are looked at for one page: of what is asked for there may be few among many.
const LOOKED_AT: usize = 1024;

/// Some submissions, without their reports.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The newest first.
    pub submissions: Vec<Arc<Submission>>,
    /// Before which place the next page begins; `None` where there is nothing more.
    pub next: Option<Place>,
}

impl Ledger {
    /// The newest submissions of an owner, or of everybody without one, before this place, in this state if one is named:
    /// no more than `most`, and perhaps fewer where there are more on the next page.
    ///
    /// # Errors
    /// Those of reading the store.
    pub async fn list(
        &self,
        owner: Option<&Owner>,
        before: Option<Place>,
        state: Option<State>,
        most: usize,
    ) -> Result<Page, StoreError> {
        let (mut page, mut last, mut looked_at) = (Page::default(), before.unwrap_or(Place::MAX), 0);
        loop {
            let batch = self.store.recent(owner.cloned(), last, BATCH).await?;
            let ends = batch.len() < BATCH;
            for kept in batch {
                let stored = Arc::new(kept.submission);
                let submission = self.live(stored.id).unwrap_or_else(|| at_rest(stored));
                if state.is_none_or(|state| state == submission.state) {
                    if page.submissions.len() == most {
                        page.next = Some(last);
                        return Ok(page);
                    }
                    page.submissions.push(submission);
                }
                last = kept.place;
                looked_at += 1;
            }
            if ends || looked_at >= LOOKED_AT {
                page.next = (!ends).then_some(last);
                return Ok(page);
            }
        }
    }
}
