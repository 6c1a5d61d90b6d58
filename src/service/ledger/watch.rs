//! Those who wait for something to happen to a submission. Nothing is kept for a submission that nobody waits for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::{Ledger, at_rest};
use crate::model::{JobId, Submission};
use crate::service::Feed;
use crate::store::StoreError;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<HashMap<JobId, Watched>>);

#[derive(Debug)]
struct Watched {
    watchers: usize,
    changed: watch::Sender<()>,
}

impl Watchers {
    /// Begins to watch.
    fn enter(self: &Arc<Self>, id: JobId) -> Watch {
        let mut all = self.lock();
        let watched = all.entry(id).or_insert_with(|| Watched { watchers: 0, changed: watch::Sender::new(()) });
        watched.watchers += 1;
        Watch { all: Arc::clone(self), id, changed: watched.changed.subscribe() }
    }

    /// Tells everybody who watches it.
    pub(super) fn tell(&self, id: JobId) {
        if let Some(watched) = self.lock().get(&id) {
            watched.changed.send_replace(());
        }
    }

    /// Nothing inside the lock can panic half-way, so a poisoned lock still guards a whole value.
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who watches, until it is dropped.
#[derive(Debug)]
pub struct Watch {
    all: Arc<Watchers>,
    id: JobId,
    changed: watch::Receiver<()>,
}

impl Watch {
    /// Waits for a change of its state that came after the one that was waited for before.
    pub async fn changed(&mut self) {
        // Who tells of it is there as long as somebody watches.
        let _ = self.changed.changed().await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if let Some(watched) = all.get_mut(&self.id) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                all.remove(&self.id);
            }
        }
    }
}

/// A submission, and what it prints while a worker has it.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Without its report.
    pub submission: Arc<Submission>,
    /// Absent where no worker has it.
    pub feed: Option<Arc<Feed>>,
}

impl Ledger {
    /// The submission once it has ended, or as it stands after `patience`; without its report. `None` where there is no
    /// such submission.
    ///
    /// # Errors
    /// Those of reading the store.
    pub async fn ended(&self, id: JobId, patience: Duration) -> Result<Option<Arc<Submission>>, StoreError> {
        let mut watch = self.watch(id);
        let deadline = Instant::now() + patience;
        loop {
            let now = self.status(id).await?;
            if now.as_ref().is_none_or(|submission| submission.state.ended()) {
                return Ok(now);
            }
            if timeout_at(deadline, watch.changed()).await.is_err() {
                return self.status(id).await;
            }
        }
    }

    /// Begins to watch this submission, whether there is one or not: what changes from now on is told.
    #[must_use]
    pub fn watch(&self, id: JobId) -> Watch {
        self.watchers.enter(id)
    }

    /// A submission as it stands, and what it prints. `None` where there is no such submission.
    ///
    /// # Errors
    /// Those of reading the store.
    pub async fn follow(&self, id: JobId) -> Result<Option<Followed>, StoreError> {
        let live = self.lock().live.get(&id).map(|live| (Arc::clone(&live.submission), live.feed.clone()));
        if let Some((submission, feed)) = live {
            return Ok(Some(Followed { submission, feed }));
        }
        let kept = self.store.peek(id).await?;
        Ok(kept.map(|kept| Followed { submission: at_rest(Arc::new(kept.submission)), feed: None }))
    }
}
