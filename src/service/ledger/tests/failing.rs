//! The ledger over a store that fails: nothing is accepted, nothing that was is lost.

use std::future::ready;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::time::timeout;

use super::*;
use crate::model::Owner;

/// A store that can be told to fail, and whose writes and reads of some kinds fail a number of times.
#[derive(Debug, Default)]
struct Failing {
    inner: MemoryStore,
    full: AtomicBool,
    endings: AtomicUsize,
    returns: AtomicUsize,
    reads: AtomicUsize,
    lost: AtomicBool,
    /// Returns that were asked for, and how many have to be before any is answered.
    asked: AtomicUsize,
    together: AtomicUsize,
    peeks: AtomicUsize,
    lines: AtomicUsize,
    damaged: Mutex<Option<JobId>>,
    /// The next read of many is answered as it is now, but only once `go` fires.
    late: AtomicBool,
    go: Notify,
}

impl Failing {
    fn late<'a, T: Send + 'a>(&'a self, read: Answer<'a, T>) -> Answer<'a, T> {
        if !self.late.swap(false, Ordering::Relaxed) {
            return read;
        }
        Box::pin(async move {
            let read = read.await;
            self.go.notified().await;
            read
        })
    }
}

fn no_disk<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(ready(Err(StoreError::Read("no disk".into()))))
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
        if fails(&self.returns) {
            return disk_full();
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            if self.asked.load(Ordering::Relaxed) < self.together.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            self.inner.put_back(id, attempts).await
        })
    }
    fn job(&self, id: JobId) -> Answer<'_, Job> {
        if self.lost.swap(false, Ordering::Relaxed) {
            return Box::pin(ready(Err(StoreError::Missing(id))));
        }
        if fails(&self.reads) {
            return no_disk();
        }
        self.inner.job(id)
    }
    fn get(&self, id: JobId) -> Answer<'_, Option<Arc<Submission>>> {
        self.inner.get(id)
    }
    fn peek(&self, id: JobId) -> Answer<'_, Option<Kept>> {
        if *self.damaged.lock().unwrap() == Some(id) {
            return Box::pin(ready(Err(StoreError::Damaged(id))));
        }
        if fails(&self.peeks) { no_disk() } else { self.inner.peek(id) }
    }
    fn find(&self, key: IdempotencyKey) -> Answer<'_, Option<Inserted>> {
        self.inner.find(key)
    }
    fn line(&self, after: Place, most: usize) -> Answer<'_, Vec<Kept>> {
        if fails(&self.lines) { no_disk() } else { self.late(self.inner.line(after, most)) }
    }
    fn recent(&self, owner: Option<Owner>, before: Place, most: usize) -> Answer<'_, Vec<Kept>> {
        self.late(self.inner.recent(owner, before, most))
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

/// A moment far beyond all pauses: whoever has not got a job by then gets none.
const LATE: Duration = Duration::from_secs(600);

#[tokio::test(start_paused = true)]
async fn a_queue_that_could_not_be_filled_is_filled_once_that_works() {
    let store = Arc::new(Failing::default());
    let ledger = Ledger::open(admission(), capacity(1, 9), store.clone()).await.unwrap();
    for failing in [&store.lines, &store.peeks] {
        // Found so by an admission, with a worker that waits.
        failing.store(9, Ordering::Relaxed);
        let mut take = pin!(ledger.take());
        assert!(now(take.as_mut()).is_none());
        let id = ledger.admit(None, request("c", "x"), None).await.unwrap();
        assert_eq!(timeout(LATE, take).await.expect("nobody looks again").unwrap().job.id, id);
        ledger.finish(id, ran(Verdict::Ok)).await;
        // By a worker that takes another one.
        let ids = [(); 2].map(|()| admit(&ledger).unwrap());
        failing.store(3, Ordering::Relaxed);
        assert_eq!(timeout(LATE, ledger.take()).await.unwrap().unwrap().job.id, ids[0]);
        assert_eq!(timeout(LATE, ledger.take()).await.expect("nobody looks again").unwrap().job.id, ids[1]);
        for id in ids {
            ledger.finish(id, ran(Verdict::Ok)).await;
        }
    }
}

/// A worker that tries again and gets a job before that works leaves the trying to the next one.
#[tokio::test(start_paused = true)]
async fn a_queue_is_filled_again_by_whoever_is_there() {
    let store = Arc::new(Failing::default());
    let ledger = Ledger::open(admission(), capacity(1, 9), store.clone()).await.unwrap();
    store.lines.store(1, Ordering::Relaxed);
    let id = admit(&ledger).unwrap();
    assert!(now(ledger.take()).is_none(), "this one had begun to, and has gone");
    assert_eq!(timeout(LATE, ledger.take()).await.expect("nobody looks again").unwrap().job.id, id);
}

/// What is damaged cannot be run, and cannot end in the store either; nobody waits for it, and its place is free again.
#[tokio::test(start_paused = true)]
async fn what_waits_and_is_damaged_holds_nobody_up() {
    let store = Arc::new(Failing::default());
    let ledger = Ledger::open(admission(), capacity(1, 3), store.clone()).await.unwrap();
    let ids = [(); 3].map(|()| admit(&ledger).unwrap());
    let mut told = pin!(ledger.ended(ids[1], LATE));
    assert!(now(told.as_mut()).is_none());
    *store.damaged.lock().unwrap() = Some(ids[1]);
    for id in [ids[0], ids[2]] {
        assert_eq!(timeout(LATE, ledger.take()).await.expect("it holds the others up").unwrap().job.id, id);
    }
    assert!(matches!(now(told).unwrap(), Err(StoreError::Damaged(_))));
    let stats = ledger.stats();
    assert_eq!((stats.queued, stats.pending, stats.running), (0, 0, 2));
    for _ in 0..3 {
        admit(&ledger).unwrap();
    }
}

/// What a worker has taken and the service ends before it could be read has not run: it waits for the next start with no
/// attempt counted, and ends if its client was told that it would.
#[tokio::test(start_paused = true)]
async fn what_was_taken_and_not_read_is_put_back_or_ends() {
    let store = Arc::new(Failing::default());
    let mut id = None;
    for _ in 0..5 {
        let ledger = Ledger::open(admission(), capacity(1, 9), store.clone()).await.unwrap();
        let id = *id.get_or_insert_with(|| admit(&ledger).unwrap());
        store.reads.store(usize::MAX, Ordering::Relaxed);
        let mut take = pin!(ledger.take());
        assert!(now(take.as_mut()).is_none());
        assert_eq!(state(&ledger, id), State::Running);
        ledger.close();
        assert!(take.await.is_none());
        assert_eq!((state(&ledger, id), ledger.stats().running), (State::Pending, 0));
        assert_eq!(store.peek(id).await.unwrap().unwrap().attempts, 0);
        ledger.shut().await.unwrap();
    }
    let (id, ledger) = (id.unwrap(), Ledger::open(admission(), capacity(1, 9), store.clone()).await.unwrap());
    let mut take = pin!(ledger.take());
    assert!(now(take.as_mut()).is_none());
    now(ledger.cancel(id)).unwrap().unwrap();
    ledger.close();
    assert!(take.await.is_none());
    assert_eq!((look(&ledger, id).report.clone(), ledger.stats().running), (Some(JobReport::cancelled()), 0));
    assert!(store.get(id).await.unwrap().unwrap().state.ended());
}

/// The same while what was interrupted is being put back.
#[tokio::test(start_paused = true)]
async fn what_is_cancelled_while_it_is_put_back_ends() {
    let store = Arc::new(Failing::default());
    let ledger = Ledger::open(admission(), capacity(1, 9), store.clone()).await.unwrap();
    let id = admit(&ledger).unwrap();
    now(ledger.take()).unwrap().unwrap();
    ledger.close();
    ledger.interrupt();
    store.returns.store(1, Ordering::Relaxed);
    let mut finish = pin!(ledger.finish(id, ran(Verdict::Cancelled)));
    assert!(now(finish.as_mut()).is_none());
    now(ledger.cancel(id)).unwrap().unwrap();
    finish.await;
    assert_eq!((look(&ledger, id).report.clone(), ledger.stats().running), (Some(JobReport::cancelled()), 0));
}

/// The line is read while one in it is being cancelled, and looked at when it is gone.
#[tokio::test(start_paused = true)]
async fn one_that_ends_while_the_line_is_read_does_not_wait() {
    let store = Arc::new(Failing::default());
    let ledger = Ledger::open(admission(), capacity(1, 9), store.clone()).await.unwrap();
    admit(&ledger).unwrap();
    store.lines.store(1, Ordering::Relaxed);
    let gone = admit(&ledger).unwrap();
    store.endings.store(1, Ordering::Relaxed);
    let mut cancel = pin!(ledger.cancel(gone));
    assert!(now(cancel.as_mut()).is_none(), "its ending is not stored yet");
    store.late.store(true, Ordering::Relaxed);
    let mut newcomer = pin!(ledger.admit(None, request("c", "x"), None));
    assert!(now(newcomer.as_mut()).is_none(), "the line is read");
    tokio::time::advance(LATE).await;
    assert!(now(cancel.as_mut()).is_none(), "it waits to fill the queue");
    assert!(store.get(gone).await.unwrap().unwrap().state.ended());
    store.go.notify_one();
    newcomer.await.unwrap();
    cancel.await.unwrap();
    assert_eq!((ledger.queue.behind(), ledger.stats().pending), (1, 1));
}

/// The list is read while a job of it runs, and put together when that has ended.
#[tokio::test]
async fn the_list_does_not_show_an_earlier_state() {
    let store = Arc::new(Failing::default());
    let ledger = Ledger::open(admission(), capacity(1, 9), store.clone()).await.unwrap();
    let ids = [(); 3].map(|()| admit(&ledger).unwrap());
    now(ledger.take()).unwrap().unwrap();
    for asked in [None, Some(State::Completed)] {
        store.late.store(true, Ordering::Relaxed);
        let mut list = pin!(ledger.list(None, None, asked, 9));
        assert!(now(list.as_mut()).is_none());
        ledger.finish(ids[0], ran(Verdict::Ok)).await;
        store.go.notify_one();
        let page = list.await.unwrap().submissions;
        let seen: Vec<_> = page.iter().map(|submission| (submission.id, submission.state)).collect();
        let all = [(ids[2], State::Pending), (ids[1], State::Queued), (ids[0], State::Completed)];
        let expected: Vec<_> = all.into_iter().filter(|(_, state)| asked.is_none_or(|asked| asked == *state)).collect();
        assert_eq!(seen, expected);
    }
}

#[test]
fn what_was_cut_off_is_put_back_all_at_once() {
    let store = Arc::new(Failing::default());
    let open = || now(Ledger::open(admission(), capacity(2, 9), store.clone()));
    let ledger = open().unwrap().unwrap();
    for _ in 0..2 {
        admit(&ledger).unwrap();
        now(ledger.take()).unwrap().unwrap();
    }
    drop(ledger);
    store.together.store(2, Ordering::Relaxed);
    let ledger = open().expect("the second is handed over before the first is answered").unwrap();
    assert_eq!((ledger.stats().queued, ledger.stats().pending), (2, 0));
}
