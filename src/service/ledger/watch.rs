//! Those who wait for something to happen to a submission. Nothing is kept for a submission that nobody waits for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::Ledger;
use crate::model::{JobId, Submission};
use crate::store::StoreError;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<HashMap<JobId, Watched>>);

#[derive(Debug)]
struct Watched {
    watchers: usize,
    changed: Arc<Notify>,
}

impl Watchers {
    /// Begins to watch.
    fn enter(self: &Arc<Self>, id: JobId) -> Watch {
        let mut all = self.lock();
        let watched = all.entry(id).or_insert_with(|| Watched { watchers: 0, changed: Arc::default() });
        watched.watchers += 1;
        Watch { all: Arc::clone(self), id, changed: Arc::clone(&watched.changed) }
    }

    /// Tells everybody who watches it.
    pub(super) fn tell(&self, id: JobId) {
        if let Some(watched) = self.lock().get(&id) {
            watched.changed.notify_waiters();
        }
    }

    /// Nothing inside the lock can panic half-way, so a poisoned lock still guards a whole value.
    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who watches, until it is dropped.
struct Watch {
    all: Arc<Watchers>,
    id: JobId,
    changed: Arc<Notify>,
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

impl Ledger {
    /// The submission once it has ended, or as it stands after `patience`; without its report. `None` where there is no
    /// such submission.
    ///
    /// # Errors
    /// Those of reading the store.
    pub async fn ended(&self, id: JobId, patience: Duration) -> Result<Option<Arc<Submission>>, StoreError> {
        let watch = self.watchers.enter(id);
        let deadline = Instant::now() + patience;
        loop {
            // Before the look at it, so that nothing is missed in between.
            let changed = watch.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let now = self.status(id).await?;
            if now.as_ref().is_none_or(|submission| submission.state.ended()) {
                return Ok(now);
            }
            if timeout_at(deadline, changed).await.is_err() {
                return self.status(id).await;
            }
        }
    }
}
