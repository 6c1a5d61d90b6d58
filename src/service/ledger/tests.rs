//! The ledger against a simple model, over random orders of events.

use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;
use crate::model::{Enforcement, Evidence, Outcome, StepReport, Verdict};
use crate::service::admit::tests::{Two, limits, request};
use crate::store::Answer;
use crate::store::memory::MemoryStore;

fn admission() -> Admission {
    Admission::new(Arc::new(Two), "python".into(), BTreeMap::new())
}

fn capacity(queue: usize, waiting: usize) -> Capacity {
    Capacity { workers: NonZeroUsize::new(2).unwrap(), queue, waiting, waiting_bytes: Bytes(1000) }
}

/// The answer of a future that has no reason to wait; `None` if it waits.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn ledger(queue: usize, waiting: usize) -> Ledger {
    now(Ledger::open(admission(), capacity(queue, waiting), Arc::new(MemoryStore::new()))).unwrap().unwrap()
}

fn admit(ledger: &Ledger) -> Result<JobId, Refusal> {
    now(ledger.admit(request("python", "x"))).unwrap()
}

fn state(ledger: &Ledger, id: JobId) -> State {
    now(ledger.lookup(id)).unwrap().unwrap().unwrap().state
}

fn ran(verdict: Verdict) -> JobReport {
    let (evidence, limits) = (Evidence::default(), limits(100));
    let step = StepReport { verdict, evidence, limits, enforcement: Enforcement::CgroupV2 };
    JobReport { outcome: Outcome::Ran, compile: None, runs: vec![step] }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Admit,
    Take,
    Finish(usize, bool),
    Cancel(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Admit),
        3 => Just(Event::Take),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(at, well)| Event::Finish(at, well)),
        1 => any::<usize>().prop_map(Event::Cancel),
    ]
}

proptest! {
    /// Against a model that keeps one list of what waits: its first places are the queue.
    #[test]
    fn any_order_of_events(queue in 1_usize..4, waiting in 1_usize..8, events in proptest::collection::vec(event(), 0..80)) {
        let ledger = ledger(queue, waiting);
        let (mut all, mut waits, mut runs) = (Vec::new(), Vec::new(), Vec::new());
        let mut ended: HashMap<JobId, State> = HashMap::new();
        for event in events {
            match event {
                Event::Admit => match admit(&ledger) {
                    Ok(id) => {
                        prop_assert!(waits.len() < waiting);
                        all.push(id);
                        waits.push(id);
                    }
                    Err(refusal) => {
                        let full = matches!(refusal, Refusal::QueueFull { .. });
                        prop_assert!(full && waits.len() == waiting);
                    }
                },
                Event::Take => {
                    let taken = now(ledger.take()).map(|taken| taken.unwrap().job.id);
                    prop_assert_eq!(taken, waits.first().copied());
                    runs.extend(waits.drain(..waits.len().min(1)));
                }
                Event::Finish(at, well) if !runs.is_empty() => {
                    let id = runs.remove(at % runs.len());
                    now(ledger.finish(id, ran(if well { Verdict::Ok } else { Verdict::Signal(9) }))).unwrap();
                    ended.insert(id, if well { State::Completed } else { State::Failed });
                }
                Event::Cancel(at) if !all.is_empty() => {
                    let id = all[at % all.len()];
                    prop_assert_eq!(now(ledger.cancel(id)).unwrap(), !ended.contains_key(&id));
                    if waits.contains(&id) {
                        waits.retain(|other| *other != id);
                        ended.insert(id, State::Failed);
                    }
                }
                Event::Finish(..) | Event::Cancel(_) => {}
            }
            for id in &all {
                let place = waits.iter().position(|other| other == id);
                let expected = match (ended.get(id), place) {
                    (Some(state), _) => *state,
                    (None, Some(place)) if place < queue => State::Queued,
                    (None, Some(_)) => State::Pending,
                    (None, None) => State::Running,
                };
                let seen = now(ledger.lookup(*id)).unwrap().unwrap().unwrap();
                prop_assert_eq!(seen.state, expected);
                prop_assert_eq!(seen.completed_at.is_some(), expected.ended());
                prop_assert_eq!(seen.report.is_some(), expected.ended());
                prop_assert!(seen.started_at.is_some() || expected != State::Running);
            }
            let stats = ledger.stats();
            prop_assert_eq!((stats.queued, stats.running), (waits.len().min(queue), runs.len()));
            prop_assert_eq!((stats.pending, stats.submissions), (waits.len() - stats.queued, all.len() as u64));
        }
    }
}

#[tokio::test]
async fn a_waiting_worker_gets_the_next_submission_and_closing_sends_it_home() {
    let ledger = Arc::new(ledger(1, 10));
    let worker = Arc::clone(&ledger);
    let first =
        tokio::spawn(async move { (worker.take().await.map(|taken| taken.job.id), worker.take().await.is_none()) });
    tokio::task::yield_now().await;
    let id = ledger.admit(request("python", "x")).await.unwrap();
    while state(&ledger, id) != State::Running {
        tokio::task::yield_now().await;
    }
    ledger.close();
    assert_eq!(first.await.unwrap(), (Some(id), true));
    assert_eq!(admit(&ledger), Err(Refusal::ShuttingDown));
    ledger.finish(id, ran(Verdict::Ok)).await;
    assert_eq!(state(&ledger, id), State::Completed);
    assert_eq!(ledger.stats().submissions, 1);
}

/// Between a worker's look into the queue and the ledger's note of it, a place is free that is not the newcomer's.
#[test]
fn a_newcomer_does_not_overtake_what_is_pending() {
    let ledger = ledger(1, 10);
    let ids = [(); 2].map(|()| admit(&ledger).unwrap());
    assert_eq!(now(ledger.queue.pop()).unwrap(), Some(ids[0]));
    let newcomer = admit(&ledger).unwrap();
    assert_eq!(state(&ledger, newcomer), State::Pending);
    ledger.start(ids[0]).unwrap();
    assert_eq!((state(&ledger, ids[1]), state(&ledger, newcomer)), (State::Queued, State::Pending));
}

#[test]
fn a_refused_submission_is_not_counted_and_hears_when_to_come_again() {
    let ledger = ledger(1, 2);
    for _ in 0..2 {
        admit(&ledger).unwrap();
    }
    assert_eq!(admit(&ledger), Err(Refusal::QueueFull { retry_after: Duration::from_secs(1) }));
    ledger.lock().usual = Duration::from_secs(9);
    assert_eq!(admit(&ledger), Err(Refusal::QueueFull { retry_after: Duration::from_millis(4500) }));
    ledger.lock().usual = Duration::from_secs(9000);
    assert_eq!(admit(&ledger), Err(Refusal::QueueFull { retry_after: LONGEST_RETRY }));
    assert!(now(ledger.admit(request("ruby", "x"))).unwrap().is_err());
    assert_eq!(ledger.stats().submissions, 2);
}

#[test]
fn who_is_sent_away_comes_again_when_a_hundredth_of_what_waits_has_gone() {
    let ledger = ledger(10, 1000);
    for _ in 0..950 {
        admit(&ledger).unwrap();
    }
    let retry_after = |waiting| ledger.retry_after(Duration::from_secs(3), waiting);
    assert_eq!([1, 100, 101, 950].map(|n| retry_after(n).as_millis()), [1500, 1500, 3000, 15_000]);
    assert_eq!(retry_after(1_000_000), LONGEST_RETRY);
    for _ in 950..1000 {
        admit(&ledger).unwrap();
    }
    ledger.lock().usual = Duration::from_secs(3);
    assert_eq!(admit(&ledger), Err(Refusal::QueueFull { retry_after: Duration::from_secs(15) }));
}

#[test]
fn the_bytes_of_what_waits_are_given_back_by_every_way_out() {
    let store = Arc::new(MemoryStore::new());
    let ledger = now(Ledger::open(admission(), capacity(1, 10), store.clone())).unwrap().unwrap();
    let send = |size: usize| now(ledger.admit(request("python", &"x".repeat(size)))).unwrap();
    let ids: Vec<_> = [400, 300, 300].map(|size| send(size).unwrap()).into();
    assert!(matches!(send(1), Err(Refusal::QueueFull { .. })));
    now(ledger.take()).unwrap().unwrap();
    assert_eq!(ledger.lock().bytes, 600);
    assert!(now(ledger.cancel(ids[2])).unwrap());
    assert_eq!(ledger.lock().bytes, 300);
    // What a restart takes up counts again, also what was running.
    let again = now(Ledger::open(admission(), capacity(1, 10), store)).unwrap().unwrap();
    assert_eq!(again.lock().bytes, 700);
}

#[test]
fn only_the_first_ending_counts_and_a_running_job_is_told() {
    let ledger = ledger(1, 2);
    let id = admit(&ledger).unwrap();
    let taken = now(ledger.take()).unwrap().unwrap();
    assert!(now(ledger.cancel(id)).unwrap() && taken.cancel.is_cancelled());
    assert_eq!(state(&ledger, id), State::Running);
    now(ledger.finish(id, ran(Verdict::Ok))).unwrap();
    now(ledger.finish(id, ran(Verdict::ExitStatus(1)))).unwrap();
    assert_eq!(state(&ledger, id), State::Completed);
    let ended = now(ledger.lookup(id)).unwrap().unwrap().unwrap();
    assert!(ended.queued_at <= ended.started_at.unwrap() && ended.started_at <= ended.completed_at);
    assert_eq!(ledger.stats().running, 0);
}

#[test]
fn a_new_ledger_over_an_old_store_takes_up_what_had_not_ended() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let open = || now(Ledger::open(admission(), capacity(1, 10), Arc::clone(&store))).unwrap().unwrap();
    let before = open();
    let ids: Vec<_> = (0..4).map(|_| admit(&before).unwrap()).collect();
    now(before.take()).unwrap().unwrap();
    now(before.finish(ids[0], ran(Verdict::Ok))).unwrap();
    now(before.take()).unwrap().unwrap();
    let after = open();
    assert_eq!(
        ids.iter().map(|id| state(&after, *id)).collect::<Vec<_>>(),
        [State::Completed, State::Queued, State::Pending, State::Pending]
    );
    assert_eq!(now(after.lookup(ids[1])).unwrap().unwrap().unwrap().started_at, None);
    assert_eq!(after.stats().submissions, 4);
    assert_eq!(now(after.take()).unwrap().unwrap().job.id, ids[1]);
}

/// A store that can be told to fail, and whose writes of an ending fail a number of times.
#[derive(Debug, Default)]
struct Failing {
    inner: MemoryStore,
    full: AtomicBool,
    endings: AtomicUsize,
    lost: AtomicBool,
}

fn disk_full<'a, T: Send + 'a>() -> Answer<'a, T> {
    Box::pin(ready(Err(StoreError::Write("disk full".into()))))
}

impl Store for Failing {
    fn insert(&self, submission: Submission, job: Job) -> Answer<'_, ()> {
        if self.full.load(Ordering::Relaxed) { disk_full() } else { self.inner.insert(submission, job) }
    }
    fn started(&self, id: JobId, at: SystemTime) -> Answer<'_, ()> {
        if self.full.load(Ordering::Relaxed) { disk_full() } else { self.inner.started(id, at) }
    }
    fn ended(&self, submission: Arc<Submission>) -> Answer<'_, ()> {
        let fails = self.endings.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if fails { disk_full() } else { self.inner.ended(submission) }
    }
    fn job(&self, id: JobId) -> Answer<'_, Job> {
        if self.lost.swap(false, Ordering::Relaxed) {
            return Box::pin(ready(Err(StoreError::Missing(id))));
        }
        self.inner.job(id)
    }
    fn get(&self, id: JobId) -> Answer<'_, Option<Arc<Submission>>> {
        self.inner.get(id)
    }
    fn unfinished(&self) -> Answer<'_, Vec<Submission>> {
        self.inner.unfinished()
    }
    fn count(&self) -> Answer<'_, u64> {
        self.inner.count()
    }
}

#[test]
fn what_the_store_does_not_take_is_not_accepted() {
    let store = Arc::new(Failing::default());
    let ledger = now(Ledger::open(admission(), capacity(1, 1), store.clone())).unwrap().unwrap();
    store.full.store(true, Ordering::Relaxed);
    assert_eq!(admit(&ledger), Err(Refusal::StoreUnavailable));
    assert_eq!((ledger.stats().submissions, ledger.stats().queued), (0, 0));
    store.full.store(false, Ordering::Relaxed);
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
    let lost = now(ledger.lookup(ids[0])).unwrap().unwrap().unwrap();
    assert_eq!((lost.state, lost.report.clone().unwrap().outcome), (State::Failed, Outcome::Faulted(Fault::Store)));
}

#[tokio::test]
async fn an_ending_is_invisible_until_it_is_stored_and_is_tried_again() {
    for (failures, in_store) in [(2, true), (STORE_AGAIN.len() + 1, false)] {
        let store = Arc::new(Failing::default());
        let ledger = Ledger::open(admission(), capacity(1, 1), store.clone()).await.unwrap();
        let id = ledger.admit(request("c", "x")).await.unwrap();
        ledger.take().await.unwrap();
        store.endings.store(failures, Ordering::Relaxed);
        let mut finish = pin!(ledger.finish(id, ran(Verdict::Ok)));
        assert!(now(finish.as_mut()).is_none());
        assert_eq!((state(&ledger, id), ledger.stats().running), (State::Running, 1));
        // Another ending while the first is being stored changes nothing, and does not wait for it.
        now(ledger.finish(id, ran(Verdict::ExitStatus(1)))).unwrap();
        assert_eq!(state(&ledger, id), State::Running);
        finish.await;
        assert_eq!((state(&ledger, id), ledger.stats().running), (State::Completed, 0));
        assert_eq!(store.get(id).await.unwrap().unwrap().state.ended(), in_store);
        ledger.admit(request("c", "x")).await.unwrap();
    }
}
