//! The ledger: the only place where a submission changes its state.
//!
//! What is in the queue or runs is in memory here and in the store; everything else is in the store alone, what waits
//! behind the queue (`line`) as well as what ended. A state is visible to clients only after the store has it, but for the
//! start of a run, which a restart undoes anyway. A program stays in the store until a worker takes it.

mod accept;
mod audit;
mod batch;
mod cost;
mod counts;
mod ending;
mod entry;
mod line;
mod list;
mod persist;
mod recovery;
mod watch;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::entry::Inner;
pub use self::list::Page;
use self::watch::Watchers;
pub use self::watch::{Followed, Watch};
use super::{Admission, Feed};
use crate::metrics;
use crate::model::{Bytes, Job, JobId, Owner, Refusal, State, Submission};
use crate::queue::Queue;
use crate::store::{Place, Store, StoreError};
use crate::telemetry::Tag;

/// How much may wait and run.
#[derive(Clone, Copy, Debug)]
pub struct Capacity {
    /// Workers that take jobs; shown in the statistics and used to guess when a place is free.
    pub workers: NonZeroUsize,
    /// Places of the bounded queue.
    pub queue: usize,
    /// Submissions that may wait, in the queue or before it.
    pub waiting: usize,
    /// Program texts and inputs of those that wait, together.
    pub waiting_bytes: Bytes,
}

/// What `/queue-stats` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Submissions in the bounded queue.
    pub queued: usize,
    /// Submissions that wait for a place in it.
    pub pending: usize,
    /// Workers.
    pub workers: usize,
    /// Jobs that a worker has.
    pub running: usize,
    /// Submissions ever accepted.
    pub submissions: u64,
}

/// A job in the hands of a worker, who owes the ledger a [`Ledger::finish`].
#[derive(Clone, Debug)]
pub struct Taken {
    /// The job.
    pub job: Job,
    /// Who submitted it.
    pub owner: Option<Owner>,
    /// Fires when somebody wants it to end.
    pub cancel: CancellationToken,
    /// Where it is to print to.
    pub feed: Arc<Feed>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Ledger {
    admission: Admission,
    capacity: Capacity,
    store: Arc<dyn Store>,
    queue: Queue,
    inner: Mutex<Inner>,
    /// The last place that waits in or behind the queue. Whoever holds this may fill the queue.
    lined_up: tokio::sync::Mutex<Place>,
    /// Fires when the queue could not be filled; a worker without a job tries it again.
    unfilled: Notify,
    watchers: Arc<Watchers>,
    /// Fires when nothing more is accepted and handed out.
    closed: CancellationToken,
    /// Fires when no more attempts are made to store what could not be stored.
    given_up: CancellationToken,
    counts: metrics::Jobs,
}

impl Ledger {
    /// Opens the ledger over a store and takes up what had not ended, in its old order. What was running waits again, or
    /// ends if it was cut off too often.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn open(admission: Admission, capacity: Capacity, store: Arc<dyn Store>) -> Result<Self, StoreError> {
        if let Some(all) = admission.accounts.too_many(capacity.waiting) {
            let most = capacity.waiting;
            warn!(
                tag = %Tag::Queue,
                "{all} may wait of all tokens together, and {most} in all (max_pending), so that one can be refused for what \
                 others have waiting: lower `waiting` in the file of tokens, or raise max_pending"
            );
        }
        let shared = admission.accounts.are_several();
        let left = recovery::take_up(&*store).await?;
        store.begin(capacity.workers.get()).await?;
        let ledger = Self {
            admission,
            capacity,
            store,
            queue: Queue::new(capacity.queue).shared(shared),
            inner: Mutex::new(Inner::new(&left)),
            lined_up: tokio::sync::Mutex::new(0),
            unfilled: Notify::new(),
            watchers: Arc::default(),
            closed: CancellationToken::new(),
            given_up: CancellationToken::new(),
            counts: metrics::Jobs::default(),
        };
        ledger.look(&mut *ledger.lined_up.lock().await, true).await?;
        ledger.line_up().await?;
        Ok(ledger)
    }

    /// A submission as it stands.
    ///
    /// # Errors
    /// Those of reading the store.
    pub async fn lookup(&self, id: JobId) -> Result<Option<Arc<Submission>>, StoreError> {
        match self.live(id) {
            Some(submission) => Ok(Some(submission)),
            None => Ok(self.store.get(id).await?.map(at_rest)),
        }
    }

    /// The same without the report, which may be large.
    ///
    /// # Errors
    /// Those of reading the store.
    pub async fn status(&self, id: JobId) -> Result<Option<Arc<Submission>>, StoreError> {
        match self.live(id) {
            Some(submission) => Ok(Some(submission)),
            None => Ok(self.store.peek(id).await?.map(|kept| at_rest(Arc::new(kept.submission)))),
        }
    }

    /// The numbers of the moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let inner = self.lock();
        Stats {
            queued: self.queue.len(),
            pending: usize::try_from(inner.behind).unwrap_or_default(),
            workers: self.capacity.workers.get(),
            running: inner.running,
            submissions: inner.submissions,
        }
    }

    /// Whether submissions are accepted at the moment.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), Refusal> {
        if self.closed.is_cancelled() {
            return Err(Refusal::ShuttingDown);
        }
        if self.store.writable() { Ok(()) } else { Err(Refusal::StoreUnavailable) }
    }

    /// Accepts nothing more and hands out nothing more. What runs can still finish; what waits stays in the store.
    pub fn close(&self) {
        self.closed.cancel();
        self.queue.close();
    }

    /// Makes every running job end and wait for the next start of the service, as if it had not begun.
    pub fn interrupt(&self) {
        for live in self.lock().live.values_mut().filter(|live| live.submission.state == State::Running) {
            live.interrupted = true;
            live.cancel.cancel();
        }
    }

    /// Ends all attempts to store what could not be stored so far.
    pub fn give_up(&self) {
        self.given_up.cancel();
    }

    /// Closes the store: the next start finds everything in order. To be called once every worker has ended.
    ///
    /// # Errors
    /// Those of writing to the store.
    pub async fn shut(&self) -> Result<(), StoreError> {
        self.store.close().await
    }

    fn live(&self, id: JobId) -> Option<Arc<Submission>> {
        self.lock().live.get(&id).map(|live| Arc::clone(&live.submission))
    }

    /// Nothing inside the lock can panic half-way, so a poisoned lock still guards a whole value.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the store has of a submission that is neither in the queue nor running: it waits, whatever note there is of a
/// start, or it has ended.
fn at_rest(mut submission: Arc<Submission>) -> Arc<Submission> {
    if !submission.state.ended() {
        let waiting = Arc::make_mut(&mut submission);
        (waiting.state, waiting.started_at) = (State::Pending, None);
    }
    submission
}

#[cfg(test)]
mod tests;
