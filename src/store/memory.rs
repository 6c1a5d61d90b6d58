//! A store that forgets everything when the process ends. Not bounded: what ended is kept until then.

use std::collections::{BTreeMap, HashMap};
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Answer, Inserted, Inventory, Kept, New, Place, Start, Store, StoreError};
use crate::model::{IdempotencyKey, Job, JobId, Owner, State, Submission};

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    entries: HashMap<JobId, Entry>,
    line: BTreeMap<Place, JobId>,
    keys: HashMap<String, (JobId, IdempotencyKey)>,
    workers: usize,
    orderly: bool,
}

#[derive(Debug)]
struct Entry {
    place: Place,
    submission: Arc<Submission>,
    job: Option<Job>,
    attempts: u8,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { kept: Mutex::new(Inside { orderly: true, ..Inside::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, id: JobId, change: impl FnOnce(&mut Entry) -> T) -> Result<T, StoreError> {
        self.lock().entries.get_mut(&id).map(change).ok_or(StoreError::Missing(id))
    }
}

impl Entry {
    fn kept(&self) -> Kept {
        let submission = Submission { report: None, ..Submission::clone(&self.submission) };
        let size = self.job.as_ref().map_or(0, Job::size);
        Kept { place: self.place, submission, attempts: self.attempts, size }
    }
}

impl Inside {
    fn insert(&mut self, new: New) -> Result<Inserted, StoreError> {
        let id = new.submission.id;
        if let Some(known) = new.key.as_ref().and_then(|key| self.find(key)) {
            return Ok(known);
        }
        if self.entries.contains_key(&id) {
            return Err(StoreError::Duplicate(id));
        }
        if let Some(key) = new.key {
            self.keys.insert(key.name.clone(), (id, key));
        }
        let place = self.entries.len() as u64 + 1;
        self.line.insert(place, id);
        let submission = Arc::new(new.submission);
        self.entries.insert(id, Entry { place, submission, job: Some(new.job), attempts: 0 });
        Ok(Inserted::New)
    }

    fn find(&self, key: &IdempotencyKey) -> Option<Inserted> {
        let (id, known) = self.keys.get(&key.name)?;
        Some(if known == key { Inserted::Known(*id) } else { Inserted::Clash })
    }
}

fn done<'a, T: Send + 'a>(answer: Result<T, StoreError>) -> Answer<'a, T> {
    Box::pin(ready(answer))
}

impl Store for MemoryStore {
    fn insert(&self, new: New) -> Answer<'_, Inserted> {
        done(self.lock().insert(new))
    }

    fn started(&self, start: Start, _: bool) -> Answer<'_, ()> {
        done(self.with(start.id, |entry| {
            let submission = Arc::make_mut(&mut entry.submission);
            submission.state = State::Running;
            submission.started_at = Some(start.at);
            entry.attempts = start.attempt;
        }))
    }

    fn ended(&self, submission: Arc<Submission>) -> Answer<'_, ()> {
        let mut kept = self.lock();
        let id = submission.id;
        let Some(entry) = kept.entries.get_mut(&id) else { return done(Err(StoreError::Missing(id))) };
        if entry.job.take().is_some() {
            entry.submission = submission;
            let place = entry.place;
            kept.line.remove(&place);
        }
        done(Ok(()))
    }

    fn put_back(&self, id: JobId, attempts: u8) -> Answer<'_, ()> {
        done(self.with(id, |entry| {
            let submission = Arc::make_mut(&mut entry.submission);
            submission.state = State::Pending;
            submission.started_at = None;
            entry.attempts = attempts;
        }))
    }

    fn job(&self, id: JobId) -> Answer<'_, Job> {
        let job = self.with(id, |entry| entry.job.clone());
        done(job.and_then(|job| job.ok_or(StoreError::Missing(id))))
    }

    fn get(&self, id: JobId) -> Answer<'_, Option<Arc<Submission>>> {
        done(Ok(self.lock().entries.get(&id).map(|entry| Arc::clone(&entry.submission))))
    }

    fn peek(&self, id: JobId) -> Answer<'_, Option<Kept>> {
        done(Ok(self.lock().entries.get(&id).map(Entry::kept)))
    }

    fn find(&self, key: IdempotencyKey) -> Answer<'_, Option<Inserted>> {
        done(Ok(self.lock().find(&key)))
    }

    fn line(&self, after: Place, most: usize) -> Answer<'_, Vec<Kept>> {
        let kept = self.lock();
        let behind = kept.line.range(after + 1..).filter_map(|(_, id)| kept.entries.get(id)).map(Entry::kept);
        done(Ok(behind.take(most).collect()))
    }

    fn recent(&self, owner: Option<Owner>, before: Place, most: usize) -> Answer<'_, Vec<Kept>> {
        let kept = self.lock();
        let of = |entry: &&Entry| owner.is_none() || entry.submission.owner == owner;
        let mut found: Vec<_> = kept.entries.values().filter(of).filter(|entry| entry.place < before).collect();
        found.sort_by_key(|entry| std::cmp::Reverse(entry.place));
        done(Ok(found.into_iter().take(most).map(Entry::kept).collect()))
    }

    fn inventory(&self) -> Answer<'_, Inventory> {
        let kept = self.lock();
        let (accepted, unfinished) = (kept.entries.len() as u64, kept.line.len() as u64);
        let size = kept.entries.values().filter_map(|entry| entry.job.as_ref()).map(Job::size).sum();
        let (workers, orderly) = (kept.workers, kept.orderly);
        done(Ok(Inventory { accepted, unfinished, size, workers, orderly }))
    }

    fn begin(&self, workers: usize) -> Answer<'_, ()> {
        let mut kept = self.lock();
        (kept.workers, kept.orderly) = (workers, false);
        done(Ok(()))
    }

    fn close(&self) -> Answer<'_, ()> {
        self.lock().orderly = true;
        done(Ok(()))
    }

    fn writable(&self) -> bool {
        true
    }
}
