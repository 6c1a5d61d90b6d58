//! The end of a submission: by its report, by a client who cancels it, or put back because the service ends first.

use std::sync::Arc;
use std::time::Instant;

use tracing::info;

use super::Ledger;
use super::audit;
use super::entry::Live;
use crate::model::{JobId, JobReport, State, Submission};
use crate::store::StoreError;
use crate::telemetry::Tag;

impl Ledger {
    /// Ends a job: status, output and times become visible in one step, after the store has them. The first ending
    /// counts; another one changes nothing. While the store cannot write, this waits, and with it the worker. A job that
    /// was cut off by [`Ledger::interrupt`] waits again instead.
    pub async fn finish(&self, id: JobId, report: JobReport) {
        if self.put_back_instead(id, &report) {
            return self.put_back(id).await;
        }
        if let Some(ended) = self.begin_end(id, report, true) {
            self.publish(ended).await;
        }
    }

    /// Asks for the end of a submission: one that waits ends here, a running one is told, an ended one stays as it is.
    /// Answers with how it stands now; `None` where there is no such submission. To be driven to its end.
    ///
    /// # Errors
    /// Those of reading the store.
    pub async fn cancel(&self, id: JobId) -> Result<Option<Arc<Submission>>, StoreError> {
        // What runs is told, and says itself how far it came.
        let runs = self.live(id).is_some_and(|live| live.state == State::Running);
        let report = if runs { JobReport::cancelled() } else { self.unstarted(id).await };
        if let Some(ended) = self.begin_end(id, report.clone(), false) {
            self.publish(ended).await;
        } else if !self.tell(id)
            && let Some(ended) = self.claim_behind(id, report).await?
        {
            self.publish(ended).await;
        }
        self.status(id).await
    }

    /// The report of a job that is cancelled before anything of it was carried out. Where its job cannot be read, nothing is
    /// told of its tests.
    async fn unstarted(&self, id: JobId) -> JobReport {
        let cancelled = JobReport::cancelled();
        match self.store.job(id).await {
            Ok(job) => cancelled.before(&job),
            Err(_) => cancelled,
        }
    }

    /// Tells a running job to end; whether it is in memory at all.
    fn tell(&self, id: JobId) -> bool {
        let mut inner = self.lock();
        let Some(live) = inner.live.get_mut(&id) else { return false };
        live.cancelled = true;
        live.cancel.cancel();
        true
    }

    /// Claims the ending of a submission that waits behind the queue. While the line is held it cannot get into it.
    async fn claim_behind(&self, id: JobId, report: JobReport) -> Result<Option<Arc<Submission>>, StoreError> {
        let _line = self.lined_up.lock().await;
        // It may have got there just before.
        if let Some(ended) = self.begin_end(id, report.clone(), false) {
            return Ok(Some(ended));
        }
        if self.tell(id) {
            return Ok(None);
        }
        let Some(kept) = self.store.peek(id).await?.filter(|kept| !kept.submission.state.ended()) else {
            return Ok(None);
        };
        let mut inner = self.lock();
        inner.behind -= 1;
        inner.live.insert(id, Live::waiting(kept, State::Pending));
        drop(inner);
        Ok(self.begin_end(id, report, false))
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
        ended.completed_at = Some(live.now());
        ended.report = Some(report);
        if !running {
            let size = live.size;
            inner.leave(ended.owner.as_ref(), size);
            self.queue.remove(ended.owner.as_ref(), id);
        }
        Some(Arc::new(ended))
    }

    async fn publish(&self, ended: Arc<Submission>) {
        let (id, began) = (ended.id, Instant::now());
        let stored = self.persist(&self.given_up, "its ending", id, || self.store.ended(Arc::clone(&ended))).await;
        self.counts.ended(&ended.language, ended.report.as_ref(), began.elapsed());
        audit::ended(&ended, stored.is_some());
        self.settle(&ended);
        {
            let mut inner = self.lock();
            inner.live.remove(&id);
            if let Some(gone) = &mut inner.gone {
                gone.insert(id);
            }
            if let (Some(begun), Some(end)) = (ended.started_at, ended.completed_at) {
                inner.ran(begun, end);
            }
        }
        self.watchers.tell(id);
        // One that was cancelled has left a place in the queue.
        if ended.started_at.is_none() {
            self.fill().await;
        }
    }

    /// Whether this report only tells that the service interrupted the job.
    fn put_back_instead(&self, id: JobId, report: &JobReport) -> bool {
        let interrupted = |live: &Live| live.interrupted && !live.cancelled && !live.ending;
        report.was_cut_off() && self.lock().live.get(&id).is_some_and(interrupted)
    }

    /// It waits again, for the next start of the service; this attempt does not count. What a client has cancelled, also
    /// meanwhile, ends instead.
    pub(super) async fn put_back(&self, id: JobId) {
        let Some((attempts, cancelled)) = self.lock().live.get(&id).map(|live| (live.attempts, live.cancelled)) else {
            return;
        };
        if !cancelled {
            let back = || self.store.put_back(id, attempts.saturating_sub(1));
            let put = self.persist(&self.given_up, "its return", id, back).await;
            if matches!(put, Some(Ok(()))) {
                info!(tag = %Tag::Queue, "{id} waits for the next start");
            }
        }
        if self.lock().wait_again(id) {
            self.watchers.tell(id);
            return;
        }
        let report = self.unstarted(id).await;
        if let Some(ended) = self.begin_end(id, report, true) {
            self.publish(ended).await;
        }
    }
}
