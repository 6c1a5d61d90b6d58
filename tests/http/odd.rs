//! A store that does not do what it is asked for, when a test says so, or tells the test that it was asked.

use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use casemate::model::{IdempotencyKey, Job, JobId, Owner, Submission};
use casemate::store::memory::MemoryStore;
use casemate::store::{Answer, Inserted, Inventory, Kept, New, Place, Start, Store, StoreError};

/// What is to be done before a list is read.
type Hook = Box<dyn FnMut() + Send>;

/// In memory, but for what is said here.
#[derive(Default)]
pub struct Odd {
    inner: MemoryStore,
    /// Nothing new can be written.
    pub full: AtomicBool,
    /// Whoever writes something new breaks off.
    pub breaks: AtomicBool,
    /// Whether a list is being read, with what is to be done at each part of it.
    pub listing: Mutex<Option<Hook>>,
}

impl fmt::Debug for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Store for Odd {
    fn insert(&self, new: New) -> Answer<'_, Inserted> {
        assert!(!self.breaks.load(Ordering::Relaxed), "on purpose");
        if self.full.load(Ordering::Relaxed) {
            return Box::pin(ready(Err(StoreError::Write("disk full, on purpose".into()))));
        }
        self.inner.insert(new)
    }
    fn started(&self, start: Start, lazy: bool) -> Answer<'_, ()> {
        self.inner.started(start, lazy)
    }
    fn ended(&self, submission: Arc<Submission>) -> Answer<'_, ()> {
        self.inner.ended(submission)
    }
    fn put_back(&self, id: JobId, attempts: u8) -> Answer<'_, ()> {
        self.inner.put_back(id, attempts)
    }
    fn job(&self, id: JobId) -> Answer<'_, Job> {
        self.inner.job(id)
    }
    fn get(&self, id: JobId) -> Answer<'_, Option<Arc<Submission>>> {
        self.inner.get(id)
    }
    fn peek(&self, id: JobId) -> Answer<'_, Option<Kept>> {
        self.inner.peek(id)
    }
    fn find(&self, key: IdempotencyKey) -> Answer<'_, Option<Inserted>> {
        self.inner.find(key)
    }
    fn line(&self, after: Place, most: usize) -> Answer<'_, Vec<Kept>> {
        self.inner.line(after, most)
    }
    fn recent(&self, owner: Option<Owner>, before: Place, most: usize) -> Answer<'_, Vec<Kept>> {
        if let Some(hook) = self.listing.lock().unwrap().as_mut() {
            hook();
        }
        self.inner.recent(owner, before, most)
    }
    fn inventory(&self) -> Answer<'_, Inventory> {
        self.inner.inventory()
    }
    fn begin(&self, workers: usize) -> Answer<'_, ()> {
        self.inner.begin(workers)
    }
    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
    fn writable(&self) -> bool {
        !self.full.load(Ordering::Relaxed)
    }
}
