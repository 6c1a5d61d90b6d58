//! What a service leaves to the next one: the store on disk as it is, and one in memory that forgets what it may.

use std::future::ready;
use std::sync::Mutex;

use super::super::*;
use crate::model::Owner;
use crate::store::disk::tests::Disk;

/// A place where stores are kept beyond the end of a service.
pub trait Shelf {
    fn open(&mut self) -> Arc<dyn Store>;
    /// What a machine that dies now leaves.
    fn crash(&mut self);
}

/// Keeps all but the lazy notes of a store that was not written since.
#[derive(Debug, Default)]
pub struct Forgetful {
    inner: MemoryStore,
    notes: Mutex<Vec<Start>>,
}

impl Forgetful {
    fn durable(&self) -> &MemoryStore {
        for start in self.notes.lock().unwrap().drain(..) {
            now(self.inner.started(start, true)).unwrap().unwrap();
        }
        &self.inner
    }
}

impl Store for Arc<Forgetful> {
    fn insert(&self, new: New) -> Answer<'_, Inserted> {
        self.durable().insert(new)
    }
    fn started(&self, start: Start, lazy: bool) -> Answer<'_, ()> {
        if lazy {
            self.notes.lock().unwrap().push(start);
            return Box::pin(ready(Ok(())));
        }
        self.durable().started(start, false)
    }
    fn ended(&self, submission: Arc<Submission>) -> Answer<'_, ()> {
        self.durable().ended(submission)
    }
    fn put_back(&self, id: JobId, attempts: u8) -> Answer<'_, ()> {
        self.durable().put_back(id, attempts)
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
        self.inner.recent(owner, before, most)
    }
    fn inventory(&self) -> Answer<'_, Inventory> {
        self.inner.inventory()
    }
    fn begin(&self, workers: usize) -> Answer<'_, ()> {
        self.durable().begin(workers)
    }
    fn close(&self) -> Answer<'_, ()> {
        self.durable().close()
    }
    fn writable(&self) -> bool {
        true
    }
}

impl Shelf for Arc<Forgetful> {
    fn open(&mut self) -> Arc<dyn Store> {
        Arc::new(Self::clone(self))
    }
    fn crash(&mut self) {
        self.notes.lock().unwrap().clear();
    }
}

impl Shelf for Disk {
    fn open(&mut self) -> Arc<dyn Store> {
        Disk::open(self)
    }
    fn crash(&mut self) {
        Disk::crash(self);
    }
}
