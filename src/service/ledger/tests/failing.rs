//! The ledger over a store that fails: nothing is accepted, nothing that was is lost.

use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::model::Owner;

/// A store that can be told to fail, and whose writes of an ending fail a number of times.
#[derive(Debug, Default)]
struct Failing {
    inner: MemoryStore,
    full: AtomicBool,
    endings: AtomicUsize,
    reads: AtomicUsize,
    lost: AtomicBool,
}

fn disk_full<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(ready(Err(StoreError::Write("disk full".into()))))
}

fn fails(times: &AtomicUsize) -> bool {
    times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

impl Store for Failing {
    fn insert(&self, new: New) -> Answer<'_, Inserted> {
        if self.full.load(Ordering::Relaxed) { disk_full() } else { self.inner.insert(new) }
    }
    fn started(&self, start: Start, lazy: bool) -> Answer<'_, ()> {
        if !lazy && self.full.load(Ordering::Relaxed) { disk_full() } else { self.inner.started(start, lazy) }
    }
    fn ended(&self, submission: Arc<Submission>) -> Answer<'_, ()> {
        if fails(&self.endings) { disk_full() } else { self.inner.ended(submission) }
    }
    fn put_back(&self, id: JobId, attempts: u8) -> Answer<'_, ()> {
        self.inner.put_back(id, attempts)
    }
    fn job(&self, id: JobId) -> Answer<'_, Job> {
        if self.lost.swap(false, Ordering::Relaxed) {
            return Box::pin(ready(Err(StoreError::Missing(id))));
        }
        if fails(&self.reads) {
            return Box::pin(ready(Err(StoreError::Read("no disk".into()))));
        }
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
        self.inner.begin(workers)
    }
    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
    fn writable(&self) -> bool {
        !self.full.load(Ordering::Relaxed)
    }
}

#[test]
fn what_the_store_does_not_take_is_not_accepted() {
    let store = Arc::new(Failing::default());
    let ledger = now(Ledger::open(admission(), capacity(1, 1), store.clone())).unwrap().unwrap();
    store.full.store(true, Ordering::Relaxed);
    assert_eq!(admit(&ledger), Err(Refusal::StoreUnavailable));
    assert_eq!(ledger.ready(), Err(Refusal::StoreUnavailable));
    assert_eq!((ledger.stats().submissions, ledger.stats().queued), (0, 0));
    store.full.store(false, Ordering::Relaxed);
    assert_eq!(ledger.ready(), Ok(()));
    admit(&ledger).unwrap();
    store.full.store(true, Ordering::Relaxed);
    assert!(now(ledger.take()).unwrap().is_some(), "a start that is not stored holds nothing up");
}

#[test]
fn a_job_that_cannot_be_read_back_ends_as_a_fault_and_the_next_one_runs() {
    let store = Arc::new(Failing::default());
    let ledger = now(Ledger::open(admission(), capacity(1, 9), store.clone())).unwrap().unwrap();
    let ids = [admit(&ledger).unwrap(), admit(&ledger).unwrap()];
    store.lost.store(true, Ordering::Relaxed);
    assert_eq!(now(ledger.take()).unwrap().unwrap().job.id, ids[1]);
    let lost = look(&ledger, ids[0]);
    assert_eq!((lost.state, lost.report.clone().unwrap().outcome), (State::Failed, Outcome::Faulted(Fault::Store)));
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cannot_be_read_for_a_while_is_no_fault() {
    let store = Arc::new(Failing::default());
    let ledger = Ledger::open(admission(), capacity(1, 9), store.clone()).await.unwrap();
    let id = ledger.admit(None, request("c", "x"), None).await.unwrap();
    store.reads.store(9, Ordering::Relaxed);
    assert_eq!(ledger.take().await.unwrap().job.id, id);
    // One that the end of the service finds so waits for the next start.
    let id = ledger.admit(None, request("c", "x"), None).await.unwrap();
    store.reads.store(usize::MAX, Ordering::Relaxed);
    ledger.close();
    assert!(ledger.take().await.is_none());
    assert_eq!((state(&ledger, id), ledger.stats().running), (State::Queued, 1));
}

#[tokio::test(start_paused = true)]
async fn an_ending_is_invisible_until_it_is_stored_however_long_that_takes() {
    let store = Arc::new(Failing::default());
    let ledger = Ledger::open(admission(), capacity(1, 1), store.clone()).await.unwrap();
    let id = ledger.admit(None, request("c", "x"), None).await.unwrap();
    ledger.take().await.unwrap();
    store.endings.store(100, Ordering::Relaxed);
    let mut finish = pin!(ledger.finish(id, ran(Verdict::Ok)));
    assert!(now(finish.as_mut()).is_none());
    assert_eq!((state(&ledger, id), ledger.stats().running), (State::Running, 1));
    // Another ending while the first is being stored changes nothing, and does not wait for it.
    now(ledger.finish(id, ran(Verdict::ExitStatus(1)))).unwrap();
    assert_eq!(state(&ledger, id), State::Running);
    finish.await;
    assert_eq!((state(&ledger, id), ledger.stats().running), (State::Completed, 0));
    assert!(store.get(id).await.unwrap().unwrap().state.ended());
    ledger.admit(None, request("c", "x"), None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_service_that_ends_does_not_wait_for_a_full_disk_for_ever() {
    let store = Arc::new(Failing::default());
    let ledger = Ledger::open(admission(), capacity(1, 1), store.clone()).await.unwrap();
    let id = ledger.admit(None, request("c", "x"), None).await.unwrap();
    ledger.take().await.unwrap();
    store.endings.store(usize::MAX, Ordering::Relaxed);
    let (finished, ()) = tokio::join!(ledger.finish(id, ran(Verdict::Ok)), async { ledger.give_up() });
    let () = finished;
    assert_eq!((state(&ledger, id), ledger.stats().running), (State::Pending, 0));
}
