//! The ledger: the only place where a submission changes its state.
//!
//! What waits or runs is in memory here and in the store; what ended is in the store alone. A state is visible to
//! clients only after the store has it. The program itself stays in the store until a worker takes it, so that a full
//! queue does not cost memory.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Admission, Request};
use crate::model::{Bytes, Fault, Job, JobId, JobReport, Refusal, State, Submission};
use crate::queue::Queue;
use crate::store::{Store, StoreError};
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
    /// Their program texts and inputs together.
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
    /// Fires when somebody wants it to end.
    pub cancel: CancellationToken,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Ledger {
    admission: Admission,
    capacity: Capacity,
    store: Arc<dyn Store>,
    queue: Queue,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    live: HashMap<JobId, Live>,
    /// What found no place in the queue, oldest first.
    pending: VecDeque<JobId>,
    /// Admissions that wait for the store; they count as waiting.
    storing: usize,
    /// Program texts and inputs of all that waits.
    bytes: u64,
    running: usize,
    submissions: u64,
    closed: bool,
    /// A moving average of how long a job runs.
    usual: Duration,
}

#[derive(Debug)]
struct Live {
    submission: Arc<Submission>,
    cancel: CancellationToken,
    /// When `submission.queued_at` was: later times are counted from it, so that a clock that is set back cannot
    /// make a job end before it began.
    accepted: Instant,
    /// The size of its program text and input.
    bytes: u64,
    /// Somebody is writing its ending.
    ending: bool,
}

/// Pauses before the further attempts to store an ending.
const STORE_AGAIN: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];

/// What a client is told to wait at most before it tries again.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

impl Ledger {
    /// Opens the ledger over a store and takes up what had not ended, in its old order; what was running waits again.
    ///
    /// # Errors
    /// Those of reading the store.
    pub async fn open(admission: Admission, capacity: Capacity, store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let submissions = store.count().await?;
        let unfinished = store.unfinished().await?;
        let inner = Inner { submissions, usual: Duration::from_secs(1), ..Inner::default() };
        let queue = Queue::new(capacity.queue);
        let ledger = Self { admission, capacity, store, queue, inner: Mutex::new(inner) };
        for mut submission in unfinished {
            submission.started_at = None;
            let bytes = ledger.store.job(submission.id).await?.size();
            ledger.lock().bytes += bytes;
            ledger.line_up(submission, bytes);
        }
        Ok(ledger)
    }

    /// Accepts a submission: once this answers with an id, the store has it. To be driven to its end: a submission
    /// that the store took while the future was dropped waits for the next start of the service.
    ///
    /// # Errors
    /// Each [`Refusal`] but [`Refusal::InvalidBody`]; a refused submission is not counted.
    pub async fn admit(&self, request: Request) -> Result<JobId, Refusal> {
        let job = self.admission.job(request)?;
        let bytes = job.size();
        let place = self.reserve(bytes)?;
        let submission = Submission {
            id: job.id,
            language: job.language.clone(),
            state: State::Pending,
            queued_at: SystemTime::now(),
            started_at: None,
            completed_at: None,
            report: None,
        };
        let stored = self.store.insert(submission.clone(), job).await;
        if let Err(failure) = stored {
            error!(tag = %Tag::Queue, "a submission was refused: {}", chain(&failure));
            return Err(Refusal::StoreUnavailable);
        }
        let id = submission.id;
        let language = submission.language.clone();
        let state = self.line_up_new(submission, place);
        info!(tag = %Tag::Queue, "{id} {} {language}", state.as_str());
        Ok(id)
    }

    /// The oldest waiting job; waits for one. `None` once the ledger is closed. Do not drop the future half-way other
    /// than at the end of the process: a job that it had already taken would stay `running`.
    pub async fn take(&self) -> Option<Taken> {
        loop {
            let id = self.queue.pop().await?;
            let Some((cancel, started_at)) = self.start(id) else { continue };
            if let Err(failure) = self.store.started(id, started_at).await {
                // The job runs all the same: at worst a restart runs it again.
                warn!(tag = %Tag::Queue, "{id}: its start was not stored: {}", chain(&failure));
            }
            match self.store.job(id).await {
                Ok(job) => return Some(Taken { job, cancel }),
                Err(failure) => {
                    error!(tag = %Tag::Queue, "{id} cannot be read back: {}", chain(&failure));
                    self.finish(id, JobReport::faulted(Fault::Store)).await;
                }
            }
        }
    }

    /// Ends a job: status, output and times become visible in one step, after the store has them. The first ending
    /// counts; another one changes nothing.
    pub async fn finish(&self, id: JobId, report: JobReport) {
        let Some(ended) = self.begin_end(id, report, true) else { return };
        self.publish(ended).await;
    }

    /// Asks for the end of a submission: one that waits ends here, a running one is told, an ended one stays as it is.
    /// Whether there was anything to ask.
    pub async fn cancel(&self, id: JobId) -> bool {
        if let Some(ended) = self.begin_end(id, JobReport::cancelled(), false) {
            self.publish(ended).await;
            return true;
        }
        let inner = self.lock();
        inner.live.get(&id).inspect(|live| live.cancel.cancel()).is_some()
    }

    /// A submission as it stands.
    ///
    /// # Errors
    /// Those of reading the store.
    pub async fn lookup(&self, id: JobId) -> Result<Option<Arc<Submission>>, StoreError> {
        let live = self.lock().live.get(&id).map(|live| Arc::clone(&live.submission));
        match live {
            Some(submission) => Ok(Some(submission)),
            None => self.store.get(id).await,
        }
    }

    /// The numbers of the moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let inner = self.lock();
        Stats {
            queued: self.queue.len(),
            pending: inner.pending.len(),
            workers: self.capacity.workers.get(),
            running: inner.running,
            submissions: inner.submissions,
        }
    }

    /// Whether submissions are still accepted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.lock().closed
    }

    /// Accepts nothing more and hands out nothing more. What runs can still finish; what waits stays in the store.
    pub fn close(&self) {
        self.lock().closed = true;
        self.queue.close();
    }

    /// Tells every running job to end.
    pub fn cancel_running(&self) {
        for live in self.lock().live.values().filter(|live| live.submission.state == State::Running) {
            live.cancel.cancel();
        }
    }

    fn reserve(&self, bytes: u64) -> Result<Place<'_>, Refusal> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Refusal::ShuttingDown);
        }
        let waiting = inner.pending.len() + self.queue.len() + inner.storing;
        let most = self.capacity.waiting_bytes.0;
        // Nobody is kept out by the size of his own program alone.
        if waiting >= self.capacity.waiting || (inner.bytes > 0 && inner.bytes.saturating_add(bytes) > most) {
            return Err(Refusal::QueueFull { retry_after: self.retry_after(inner.usual, waiting) });
        }
        inner.storing += 1;
        inner.bytes += bytes;
        Ok(Place { ledger: self, bytes })
    }

    /// When one in a hundred of those that wait is likely to have gone, but at least one: who are sent away all at once
    /// should not come back all at once for one place.
    fn retry_after(&self, usual: Duration, waiting: usize) -> Duration {
        let jobs = u32::try_from(waiting.div_ceil(100)).unwrap_or(u32::MAX);
        let workers = u32::try_from(self.capacity.workers.get()).unwrap_or(u32::MAX);
        (usual.saturating_mul(jobs) / workers).clamp(Duration::from_secs(1), LONGEST_RETRY)
    }

    fn line_up_new(&self, submission: Submission, mut place: Place<'_>) -> State {
        self.lock().submissions += 1;
        self.line_up(submission, std::mem::take(&mut place.bytes))
    }

    /// Puts a stored submission behind all others.
    fn line_up(&self, mut submission: Submission, bytes: u64) -> State {
        let mut inner = self.lock();
        let id = submission.id;
        let queued = inner.pending.is_empty() && self.queue.try_push(id);
        if !queued {
            inner.pending.push_back(id);
        }
        let state = if queued { State::Queued } else { State::Pending };
        submission.state = state;
        let (submission, cancel) = (Arc::new(submission), CancellationToken::new());
        inner.live.insert(id, Live { submission, cancel, accepted: Instant::now(), bytes, ending: false });
        state
    }

    /// Fills free places of the queue in order.
    fn promote(&self, inner: &mut Inner) {
        while let Some(id) = inner.pending.front().copied() {
            if !self.queue.try_push(id) {
                return;
            }
            inner.pending.pop_front();
            if let Some(live) = inner.live.get_mut(&id) {
                Arc::make_mut(&mut live.submission).state = State::Queued;
            }
        }
    }

    fn start(&self, id: JobId) -> Option<(CancellationToken, SystemTime)> {
        let mut inner = self.lock();
        self.promote(&mut inner);
        let live = inner.live.get_mut(&id).filter(|live| !live.ending)?;
        let submission = Arc::make_mut(&mut live.submission);
        let at = submission.queued_at + live.accepted.elapsed();
        submission.state = State::Running;
        submission.started_at = Some(at);
        let (cancel, bytes) = (live.cancel.clone(), live.bytes);
        inner.bytes -= bytes;
        inner.running += 1;
        Some((cancel, at))
    }

    /// Claims the ending of a submission that runs (`running`) or waits, and makes its ended form, not yet visible.
    fn begin_end(&self, id: JobId, report: JobReport, running: bool) -> Option<Arc<Submission>> {
        let mut inner = self.lock();
        let live = inner.live.get_mut(&id)?;
        if live.ending || (live.submission.state == State::Running) != running {
            return None;
        }
        live.ending = true;
        let mut ended = Submission::clone(&live.submission);
        ended.state = if report.succeeded() { State::Completed } else { State::Failed };
        ended.completed_at = Some(ended.queued_at + live.accepted.elapsed());
        ended.report = Some(report);
        if !running {
            inner.bytes -= live.bytes;
            if !self.queue.remove(id) {
                inner.pending.retain(|other| *other != id);
            }
        }
        self.promote(&mut inner);
        Some(Arc::new(ended))
    }

    async fn publish(&self, ended: Arc<Submission>) {
        let id = ended.id;
        let mut pauses = STORE_AGAIN.iter();
        while let Err(failure) = self.store.ended(Arc::clone(&ended)).await {
            error!(tag = %Tag::Result(id), "the ending was not stored: {}", chain(&failure));
            let Some(pause) = pauses.next() else {
                // Better an answer that a restart forgets than none.
                self.keep_in_memory(ended);
                return;
            };
            tokio::time::sleep(*pause).await;
        }
        info!(tag = %Tag::Result(id), "{}", ended.state.as_str());
        let mut inner = self.lock();
        inner.live.remove(&id);
        inner.ran(&ended);
    }

    fn keep_in_memory(&self, ended: Arc<Submission>) {
        let mut inner = self.lock();
        inner.ran(&ended);
        if let Some(live) = inner.live.get_mut(&ended.id) {
            live.submission = ended;
        }
    }

    /// Nothing inside the lock can panic half-way, so a poisoned lock still guards a whole value.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Accounts for the end of a job that ran.
    fn ran(&mut self, ended: &Submission) {
        let (Some(from), Some(to)) = (ended.started_at, ended.completed_at) else { return };
        self.running -= 1;
        self.usual = (self.usual * 7 + to.duration_since(from).unwrap_or_default()) / 8;
    }
}

/// A place among those that wait, held while the store writes; also given back when the client goes away meanwhile.
#[derive(Debug)]
struct Place<'a> {
    ledger: &'a Ledger,
    /// What it counts for until the submission itself does.
    bytes: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inner = self.ledger.lock();
        inner.storing -= 1;
        inner.bytes -= self.bytes;
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
