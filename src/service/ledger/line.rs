//! Who is next: the queue, filled from the store in the order of arrival, and the workers that take from it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::error;

use super::entry::Live;
use super::{Ledger, Taken};
use crate::model::{Fault, JobId, JobReport, State};
use crate::store::{Kept, Start, StoreError};
use crate::telemetry::{Tag, chain};

/// Submissions that are read at once to fill the queue.
const BATCH: usize = 64;

impl Ledger {
    /// The oldest waiting job; waits for one. `None` once the ledger is closed. Do not drop the future half-way other
    /// than at the end of the process: a job that it had already taken would stay `running`.
    pub async fn take(&self) -> Option<Taken> {
        loop {
            let id = self.queue.pop().await?;
            let Some((start, cancel)) = self.start(id) else { continue };
            // One that was cut off before does not run again before it is counted; see `recovery`.
            let lazy = start.attempt == 1;
            let noted = self.persist(&self.closed, "its start", id, || self.store.started(start, lazy)).await;
            let job = match noted {
                Some(_) => self.persist(&self.closed, "its program", id, || self.store.job(id)).await,
                None => None,
            };
            if let Err(failure) = self.line_up().await {
                error!(tag = %Tag::Queue, "the queue is not filled up: {}", chain(&failure));
            }
            match job {
                Some(Ok(job)) => return Some(Taken { job, cancel }),
                Some(Err(_)) => self.finish(id, JobReport::faulted(Fault::Store)).await,
                None => self.release(id),
            }
        }
    }

    /// Fills free places of the queue in order.
    pub(super) async fn line_up(&self) -> Result<(), StoreError> {
        let mut last = self.lined_up.lock().await;
        loop {
            let free = self.queue.free();
            if free == 0 || self.lock().behind <= 0 {
                return Ok(());
            }
            let next = self.store.line(*last, free.min(BATCH)).await?;
            if next.is_empty() {
                return Ok(());
            }
            for waiting in next {
                let place = waiting.place;
                if !self.enqueue(waiting) {
                    return Ok(());
                }
                *last = place;
            }
        }
    }

    /// Puts one into the queue; whether there was a place.
    fn enqueue(&self, waiting: Kept) -> bool {
        let id = waiting.submission.id;
        let mut inner = self.lock();
        if inner.live.contains_key(&id) {
            // It is being cancelled, and not counted any more.
            return true;
        }
        if !self.queue.try_push(id) {
            return false;
        }
        // Before the lock is free again, so that a worker who has taken it meanwhile finds it here.
        inner.live.insert(id, Live::waiting(waiting, State::Queued));
        inner.behind -= 1;
        true
    }

    /// Makes it run; nothing if it was cancelled since it left the queue.
    fn start(&self, id: JobId) -> Option<(Start, CancellationToken)> {
        let mut inner = self.lock();
        let live = inner.live.get_mut(&id).filter(|live| !live.ending)?;
        let at = live.now();
        live.attempts = live.attempts.saturating_add(1);
        let submission = Arc::make_mut(&mut live.submission);
        submission.state = State::Running;
        submission.started_at = Some(at);
        let start = Start { id, at, attempt: live.attempts };
        let (cancel, size) = (live.cancel.clone(), live.size);
        inner.bytes -= size;
        inner.running += 1;
        Some((start, cancel))
    }

    /// The service ends before the job began: it waits in the store.
    fn release(&self, id: JobId) {
        let mut inner = self.lock();
        inner.wait_again(id);
    }
}
