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
    /// no more than `most`, and perhaps fewer where there are more on the next page. Gives way to others after each batch that it
    /// reads, so that no thread is kept busy by one who looks for little among much.
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
                let place = kept.place;
                let Some(submission) = self.as_it_stands(kept.submission).await? else { continue };
                if state.is_none_or(|state| state == submission.state) {
                    if page.submissions.len() == most {
                        page.next = Some(last);
                        return Ok(page);
                    }
                    page.submissions.push(submission);
                }
                last = place;
                looked_at += 1;
            }
            if ends || looked_at >= LOOKED_AT {
                page.next = (!ends).then_some(last);
                return Ok(page);
            }
            tokio::task::yield_now().await;
        }
    }

    /// What was read from the store a moment ago. One that had not ended then and is not in memory now may have ended in between,
    /// so that it is read once more. `None` if it has been thrown away since.
    async fn as_it_stands(&self, stored: Submission) -> Result<Option<Arc<Submission>>, StoreError> {
        match self.live(stored.id) {
            Some(live) => Ok(Some(live)),
            None if stored.state.ended() => Ok(Some(Arc::new(stored))),
            None => Ok(self.store.peek(stored.id).await?.map(|kept| at_rest(Arc::new(kept.submission)))),
        }
    }
}
