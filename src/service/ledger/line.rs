//! Who is next: what waits in the store, by owner in the order of arrival; the queue, filled from that; and the workers that
//! take from it.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::entry::Live;
use super::persist::{FIRST, LONGEST};
use super::{Ledger, Taken};
use crate::model::{Fault, JobId, JobReport, Owner, State};
use crate::service::Feed;
use crate::store::{Kept, Place, Start, StoreError};
use crate::telemetry::{Tag, chain};

/// Submissions of the store that are looked at at once.
pub(super) const BATCH: usize = 256;

/// A queue that is still to be filled: dropped, it is somebody else's to do.
struct Owed<'a>(&'a Notify);

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Ledger {
    /// The next job, the oldest waiting one of its owner; waits for one. `None` once the ledger is closed. Do not drop the
    /// future half-way other than at the end of the process: a job that it had already taken would stay `running`.
    pub async fn take(&self) -> Option<Taken> {
        loop {
            let id = tokio::select! {
                biased;
                id = self.queue.pop() => id?,
                never = self.fill_again() => match never {},
            };
            let Some((start, owner, cancel, feed)) = self.start(id) else {
                self.queue.done(id);
                continue;
            };
            self.watchers.tell(id);
            // One that was cut off before does not run again before it is counted; see `recovery`.
            let lazy = start.attempt == 1;
            let noted = self.persist(&self.closed, "its start", id, || self.store.started(start, lazy)).await;
            let job = match noted {
                Some(_) => self.persist(&self.closed, "its program", id, || self.store.job(id)).await,
                None => None,
            };
            if let Some(Ok(job)) = &job {
                self.charge(id, job.runs.len() as u64);
            }
            self.fill().await;
            match job {
                Some(Ok(job)) => return Some(Taken { job, owner, cancel, feed }),
                Some(Err(_)) => self.finish(id, JobReport::faulted(Fault::Store)).await,
                None => self.put_back(id).await,
            }
        }
    }

    /// Fills the free places of the queue; what cannot be read for now, a worker without a job tries again.
    pub(super) async fn fill(&self) {
        if let Err(failure) = self.line_up().await {
            error!(tag = %Tag::Queue, "the queue is not filled up: {}", chain(&failure));
            self.unfilled.notify_one();
        }
    }

    /// Fills the queue whenever that failed before, until it works. Whoever drops this half-way leaves it to the next one.
    async fn fill_again(&self) -> Infallible {
        loop {
            self.unfilled.notified().await;
            let owed = Owed(&self.unfilled);
            let mut pause = FIRST;
            loop {
                tokio::time::sleep(pause).await;
                match self.line_up().await {
                    Ok(()) => break,
                    Err(failure) => error!(tag = %Tag::Queue, "the queue is still not filled up: {}", chain(&failure)),
                }
                pause = (pause * 2).min(LONGEST);
            }
            std::mem::forget(owed);
        }
    }

    /// Looks what has come, and fills the free places of the queue.
    pub(super) async fn line_up(&self) -> Result<(), StoreError> {
        let mut last = self.lined_up.lock().await;
        loop {
            // What waits behind the queue and is not in its lanes yet has come since.
            if self.lock().behind > i64::try_from(self.queue.behind()).unwrap_or(i64::MAX) {
                self.look(&mut last, false).await?;
            }
            let Some((owner, id)) = self.queue.next() else { return Ok(()) };
            let kept = match self.store.peek(id).await {
                Err(failure @ StoreError::Damaged(_)) => {
                    error!(tag = %Tag::Queue, "{id} is not run: {}", chain(&failure));
                    self.lose(owner.as_ref(), id);
                    continue;
                }
                kept => kept?,
            };
            let waiting = kept.filter(|kept| !kept.submission.state.ended());
            if !waiting.is_some_and(|waiting| self.enqueue(waiting)) {
                // It was cancelled while it was looked at.
                self.queue.remove(owner.as_ref(), id);
            }
        }
    }

    /// Lets everything behind `last` wait in the order of arrival; what the service before this one left is counted.
    pub(super) async fn look(&self, last: &mut Place, left: bool) -> Result<(), StoreError> {
        loop {
            self.lock().gone = Some(HashSet::new());
            let next = self.store.line(*last, BATCH).await;
            let mut inner = self.lock();
            let gone = inner.gone.take().unwrap_or_default();
            let next = next?;
            let more = next.len() == BATCH;
            for Kept { place, submission, size, .. } in next {
                *last = place;
                let owner = submission.owner.as_ref();
                if left {
                    inner.parts.add(owner, size);
                }
                // One that is being cancelled, or has been since the line was read, does not wait any more.
                if !inner.live.contains_key(&submission.id) && !gone.contains(&submission.id) {
                    self.queue.arrive(owner, self.admission.accounts.share(owner), place, submission.id);
                }
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// Puts one into the queue; whether it waits and there was a place.
    fn enqueue(&self, waiting: Kept) -> bool {
        let id = waiting.submission.id;
        let mut inner = self.lock();
        if inner.live.contains_key(&id) || !self.queue.enter(waiting.submission.owner.as_ref(), id) {
            return false;
        }
        // Before the lock is free again, so that a worker who has taken it meanwhile finds it here.
        inner.live.insert(id, Live::waiting(waiting, State::Queued));
        inner.behind -= 1;
        drop(inner);
        self.watchers.tell(id);
        true
    }

    /// Takes out one whose record cannot be understood, so that it holds nobody up. It cannot end in the store either:
    /// whoever asks for it is told that it is damaged. Its bytes are not known any more and count until the next start.
    fn lose(&self, owner: Option<&Owner>, id: JobId) {
        let mut inner = self.lock();
        if self.queue.remove(owner, id) {
            inner.behind -= 1;
            inner.leave(owner, 0);
        }
        drop(inner);
        self.watchers.tell(id);
    }

    /// Makes it run; nothing if it was cancelled since it left the queue.
    fn start(&self, id: JobId) -> Option<(Start, Option<Owner>, CancellationToken, Arc<Feed>)> {
        let mut inner = self.lock();
        let live = inner.live.get_mut(&id).filter(|live| !live.ending)?;
        let at = live.now();
        live.attempts = live.attempts.saturating_add(1);
        live.charged = 1;
        let submission = Arc::make_mut(&mut live.submission);
        submission.state = State::Running;
        submission.started_at = Some(at);
        let waited = at.duration_since(submission.queued_at).unwrap_or_default();
        let start = Start { id, at, attempt: live.attempts };
        let (cancel, size, owner) = (live.cancel.clone(), live.size, submission.owner.clone());
        let feed = Arc::clone(live.feed.insert(Arc::default()));
        inner.leave(owner.as_ref(), size);
        inner.running += 1;
        drop(inner);
        self.counts.started(waited);
        Some((start, owner, cancel, feed))
    }
}
