//! From a request to a stored submission with a place in the line.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::error;

use super::audit::Accepted;
use super::{Ledger, Refusal, State, Submission};
use crate::model::{IdempotencyKey, Job, JobId, Owner};
use crate::service::{Admission, Draft, Request};
use crate::store::{Inserted, New};
use crate::telemetry::{Tag, chain};

/// What a client is told to wait at most before it tries again.
pub(super) const LONGEST_RETRY: Duration = Duration::from_secs(60);

impl Ledger {
    /// Accepts a submission: once this answers with an id, the store has it. With a key that was seen before it answers
    /// with the id of then. To be driven to its end: a submission that the store took while the future was dropped waits
    /// for the next start of the service.
    ///
    /// # Errors
    /// Each [`Refusal`] but [`Refusal::InvalidBody`]; a refused submission is not counted.
    pub async fn admit(
        &self,
        owner: Option<Owner>,
        request: Request,
        key: Option<IdempotencyKey>,
    ) -> Result<JobId, Refusal> {
        self.accept(owner, key, |admission, _| admission.job(request)).await
    }

    /// The same of a submission that says more.
    ///
    /// # Errors
    /// As [`Ledger::admit`].
    pub async fn admit_draft(
        &self,
        owner: Option<Owner>,
        draft: Draft,
        key: Option<IdempotencyKey>,
    ) -> Result<JobId, Refusal> {
        self.accept(owner, key, |admission, owner| admission.complete(owner, draft)).await
    }

    async fn accept(
        &self,
        owner: Option<Owner>,
        key: Option<IdempotencyKey>,
        job: impl FnOnce(&Admission, Option<&Owner>) -> Result<Job, Refusal>,
    ) -> Result<JobId, Refusal> {
        let key = key.map(|key| of_owner(owner.as_ref(), key));
        if let Some(key) = &key {
            let found = self.store.find(key.clone()).await.map_err(|failure| unavailable(&failure))?;
            if let Some(known) = found.and_then(of_key) {
                return known;
            }
        }
        let job = job(&self.admission, owner.as_ref())?;
        let place = self.place(owner.as_ref(), job.size())?;
        let (id, accepted) = (job.id, Accepted::of(&job));
        let submission = fresh(&job, owner.clone());
        let inserted = self.store.insert(New { submission, job, key }).await;
        if let Some(known) = inserted.map_err(|failure| unavailable(&failure)).map(of_key)? {
            return known;
        }
        place.fill();
        accepted.audit(owner.as_ref());
        // It is accepted whatever comes of this.
        self.fill().await;
        let state = self.live(id).map_or(State::Pending, |live| live.state);
        accepted.queued(owner.as_ref(), state);
        Ok(id)
    }

    /// A place among those that wait, within what its owner may submit.
    pub(super) fn place(&self, owner: Option<&Owner>, bytes: u64) -> Result<Reserved<'_>, Refusal> {
        let place = self.reserve(owner, bytes)?;
        let early = self.admission.accounts.step(owner, Instant::now());
        early.map_err(|retry_after| Refusal::RateExceeded { retry_after })?;
        Ok(place)
    }

    fn reserve(&self, owner: Option<&Owner>, bytes: u64) -> Result<Reserved<'_>, Refusal> {
        if self.closed.is_cancelled() {
            return Err(Refusal::ShuttingDown);
        }
        let mut inner = self.lock();
        let (waiting, bytes_most) = (inner.waiting(self.queue.len()), self.capacity.waiting_bytes.0);
        let (accounts, parts) = (&self.admission.accounts, inner.parts.of(owner));
        let (most, part) = (accounts.waiting(owner, self.capacity.waiting), accounts.part(owner, bytes_most));
        // What he did alone is told first, whatever the others did. Nobody is kept out by the size of his own program alone.
        if parts.waiting >= most || (parts.bytes > 0 && parts.bytes.saturating_add(bytes) > part) {
            let retry_after = self.retry_after(inner.usual, parts.waiting);
            // Those without a token have no part of their own to speak of.
            return Err(match owner {
                Some(_) => Refusal::TooManyWaiting { retry_after },
                None => Refusal::QueueFull { retry_after },
            });
        }
        if waiting >= self.capacity.waiting || (inner.bytes > 0 && inner.bytes.saturating_add(bytes) > bytes_most) {
            return Err(Refusal::QueueFull { retry_after: self.retry_after(inner.usual, waiting) });
        }
        inner.storing += 1;
        inner.wait(owner, bytes);
        Ok(Reserved { ledger: self, owner: owner.cloned(), bytes: Some(bytes) })
    }

    /// When one in a hundred of those that wait is likely to have gone, but at least one: who are sent away all at once
    /// should not come back all at once for one place.
    pub(super) fn retry_after(&self, usual: Duration, waiting: usize) -> Duration {
        let jobs = u32::try_from(waiting.div_ceil(100)).unwrap_or(u32::MAX);
        let workers = u32::try_from(self.capacity.workers.get()).unwrap_or(u32::MAX);
        (usual.saturating_mul(jobs) / workers).clamp(Duration::from_secs(1), LONGEST_RETRY)
    }
}

/// A submission of this job that was accepted just now.
pub(super) fn fresh(job: &Job, owner: Option<Owner>) -> Submission {
    Submission {
        id: job.id,
        owner,
        language: job.language.clone(),
        state: State::Pending,
        queued_at: SystemTime::now(),
        started_at: None,
        completed_at: None,
        report: None,
    }
}

/// The key as the store has it: keys of different owners are different keys. A client's own has no line in it.
pub(super) fn of_owner(owner: Option<&Owner>, key: IdempotencyKey) -> IdempotencyKey {
    match owner {
        Some(owner) => IdempotencyKey { name: format!("{owner}\n{}", key.name), ..key },
        None => key,
    }
}

/// The answer where a key decided it.
pub(super) fn of_key(inserted: Inserted) -> Option<Result<JobId, Refusal>> {
    match inserted {
        Inserted::New => None,
        Inserted::Known(id) => Some(Ok(id)),
        Inserted::Clash => Some(Err(Refusal::KeyReused)),
    }
}

pub(super) fn unavailable(failure: &crate::store::StoreError) -> Refusal {
    error!(tag = %Tag::Queue, "a submission was refused: {}", chain(failure));
    Refusal::StoreUnavailable
}

/// A place among those that wait, held while the store writes; also given back when the client goes away meanwhile.
#[derive(Debug)]
pub(super) struct Reserved<'a> {
    ledger: &'a Ledger,
    owner: Option<Owner>,
    /// What it counts for until the submission itself does.
    bytes: Option<u64>,
}

impl Reserved<'_> {
    /// The submission is stored.
    pub(super) fn fill(mut self) {
        self.bytes = None;
        self.ledger.counts.accepted.inc();
        let mut inner = self.ledger.lock();
        inner.behind += 1;
        inner.submissions += 1;
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut inner = self.ledger.lock();
        inner.storing -= 1;
        if let Some(bytes) = self.bytes {
            inner.leave(self.owner.as_ref(), bytes);
        }
    }
}
