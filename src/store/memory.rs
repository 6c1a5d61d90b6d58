//! A store that forgets everything when the process ends. Not bounded: what ended is kept until then.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::{Answer, Store, StoreError};
use crate::model::{Job, JobId, State, Submission};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<HashMap<JobId, Kept>>,
}

#[derive(Debug)]
struct Kept {
    /// The place in the order of arrival.
    sequence: usize,
    submission: Arc<Submission>,
    job: Option<Job>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, id: JobId, change: impl FnOnce(&mut Kept) -> T) -> Result<T, StoreError> {
        self.lock().get_mut(&id).map(change).ok_or(StoreError::Missing(id))
    }
}

impl Store for MemoryStore {
    fn insert(&self, submission: Submission, job: Job) -> Answer<'_, ()> {
        let mut kept = self.lock();
        let (id, sequence) = (submission.id, kept.len());
        let answer = match kept.entry(id) {
            Entry::Occupied(_) => Err(StoreError::Duplicate(id)),
            Entry::Vacant(free) => {
                free.insert(Kept { sequence, submission: Arc::new(submission), job: Some(job) });
                Ok(())
            }
        };
        Box::pin(ready(answer))
    }

    fn started(&self, id: JobId, at: SystemTime) -> Answer<'_, ()> {
        Box::pin(ready(self.with(id, |kept| {
            let submission = Arc::make_mut(&mut kept.submission);
            submission.state = State::Running;
            submission.started_at = Some(at);
        })))
    }

    fn ended(&self, submission: Arc<Submission>) -> Answer<'_, ()> {
        Box::pin(ready(self.with(submission.id, |kept| {
            kept.submission = submission;
            kept.job = None;
        })))
    }

    fn job(&self, id: JobId) -> Answer<'_, Job> {
        let job = self.with(id, |kept| kept.job.clone());
        Box::pin(ready(job.and_then(|job| job.ok_or(StoreError::Missing(id)))))
    }

    fn get(&self, id: JobId) -> Answer<'_, Option<Arc<Submission>>> {
        Box::pin(ready(Ok(self.lock().get(&id).map(|kept| Arc::clone(&kept.submission)))))
    }

    fn unfinished(&self) -> Answer<'_, Vec<Submission>> {
        let kept = self.lock();
        let mut live: Vec<_> = kept.values().filter(|kept| !kept.submission.state.ended()).collect();
        live.sort_by_key(|kept| kept.sequence);
        Box::pin(ready(Ok(live.into_iter().map(|kept| Submission::clone(&kept.submission)).collect())))
    }

    fn count(&self) -> Answer<'_, u64> {
        Box::pin(ready(Ok(self.lock().len() as u64)))
    }
}
