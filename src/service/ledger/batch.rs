//! Several submissions at once: each is accepted or refused on its own, and all that are accepted share a write of the
//! store.
//!
//! The key of a batch is kept with the submissions that it brought, with the number of each among those that could be
//! accepted at all; that number follows from what was sent alone. They are accepted in order, and from the first for which
//! there is no place, or that comes too early for its owner's rate, none is. So where the key brought anything it brought
//! the first, and another body is noticed by that.

use tracing::info;

use super::Ledger;
use super::accept::{Reserved, fresh, of_key, of_owner, unavailable};
use super::audit::Accepted;
use crate::model::{IdempotencyKey, Job, JobId, Owner, Refusal};
use crate::service::Draft;
use crate::store::{Inserted, New};
use crate::telemetry::Tag;

/// A submission that may be accepted, by its place in the batch.
struct Candidate {
    at: usize,
    job: Job,
    key: Option<IdempotencyKey>,
}

/// One that has a place.
struct Placed<'a> {
    at: usize,
    id: JobId,
    place: Reserved<'a>,
    accepted: Accepted,
}

impl Ledger {
    /// Accepts each of these submissions, as [`Ledger::admit_draft`] would, and answers for each, in order. With a key that
    /// was seen before it answers with the ids of then; what was not accepted then may be now. To be driven to its end.
    ///
    /// # Errors
    /// [`Refusal::KeyReused`] where the key came with another batch, [`Refusal::StoreUnavailable`] where it cannot be looked
    /// for.
    pub async fn admit_batch(
        &self,
        owner: Option<Owner>,
        drafts: Vec<Draft>,
        key: Option<IdempotencyKey>,
    ) -> Result<Vec<Result<JobId, Refusal>>, Refusal> {
        let key = key.map(|key| of_owner(owner.as_ref(), key));
        // Replaced below, one by one.
        let mut answers: Vec<Result<JobId, Refusal>> = drafts.iter().map(|_| Err(Refusal::StoreUnavailable)).collect();
        let mut candidates = Vec::with_capacity(drafts.len());
        for (at, draft) in drafts.into_iter().enumerate() {
            match self.admission.complete(owner.as_ref(), draft) {
                Ok(job) => {
                    let key = key.as_ref().map(|key| key.part(candidates.len()));
                    candidates.push(Candidate { at, job, key });
                }
                Err(refusal) => answers[at] = Err(refusal),
            }
        }
        let mut unknown = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            match self.seen(&candidate).await? {
                Some(id) => answers[candidate.at] = Ok(id),
                None => unknown.push(candidate),
            }
        }
        let (mut places, mut new) = (Vec::new(), Vec::new());
        let mut full = None;
        for Candidate { at, job, key } in unknown {
            match full.clone().map_or_else(|| self.place(owner.as_ref(), job.size()), Err) {
                Ok(place) => {
                    places.push(Placed { at, id: job.id, place, accepted: Accepted::of(&job) });
                    new.push(New { submission: fresh(&job, owner.clone()), job, key });
                }
                Err(refusal) => {
                    answers[at] = Err(refusal.clone());
                    full = Some(refusal);
                }
            }
        }
        if !new.is_empty() {
            self.keep(owner.as_ref(), places, new, &mut answers).await;
        }
        Ok(answers)
    }

    /// The submission that came with this one's key.
    async fn seen(&self, candidate: &Candidate) -> Result<Option<JobId>, Refusal> {
        let Some(key) = &candidate.key else { return Ok(None) };
        let found = self.store.find(key.clone()).await.map_err(|failure| unavailable(&failure))?;
        found.and_then(of_key).transpose()
    }

    async fn keep(
        &self,
        owner: Option<&Owner>,
        places: Vec<Placed<'_>>,
        new: Vec<New>,
        answers: &mut [Result<JobId, Refusal>],
    ) {
        let kept = match self.store.insert_all(new).await {
            Ok(kept) => kept,
            Err(failure) => {
                unavailable(&failure);
                return;
            }
        };
        let mut number = 0;
        for (Placed { at, id, place, accepted }, kept) in places.into_iter().zip(kept) {
            answers[at] = match kept {
                Ok(Inserted::New) => {
                    place.fill();
                    accepted.audit(owner);
                    number += 1;
                    Ok(id)
                }
                Ok(known) => of_key(known).unwrap_or(Ok(id)),
                Err(failure) => Err(unavailable(&failure)),
            };
        }
        // They are accepted whatever comes of this.
        self.fill().await;
        info!(tag = %Tag::Queue, "{number} accepted of a batch of {}", answers.len());
    }
}
