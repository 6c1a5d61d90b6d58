//! The ledger event by event, over a store in memory; `model` holds it against a simple model in random orders.

mod failing;
mod model;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::accept::LONGEST_RETRY;
use super::*;
use crate::model::{
    Enforcement, Evidence, Fault, IdempotencyKey, Invocation, JobReport, Outcome, Several, StepReport, Streams, Verdict,
};
use crate::service::admit::tests::{Two, limits, request};
use crate::service::{Draft, Program, RunDraft};
use crate::store::memory::MemoryStore;
use crate::store::{Answer, Inserted, Inventory, Kept, New, Start};

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
    now(ledger.admit(None, request("python", "x"), None)).unwrap()
}

fn look(ledger: &Ledger, id: JobId) -> Arc<Submission> {
    now(ledger.lookup(id)).unwrap().unwrap().unwrap()
}

fn state(ledger: &Ledger, id: JobId) -> State {
    look(ledger, id).state
}

fn ran(verdict: Verdict) -> JobReport {
    let (evidence, limits) = (Evidence::default(), limits(100));
    let step = StepReport { verdict, evidence, limits, enforcement: Enforcement::CgroupV2 };
    JobReport { outcome: Outcome::Ran, compile: None, runs: vec![step], about: None }
}

#[tokio::test]
async fn a_waiting_worker_gets_the_next_submission_and_closing_sends_it_home() {
    let ledger = Arc::new(ledger(1, 10));
    let worker = Arc::clone(&ledger);
    let first =
        tokio::spawn(async move { (worker.take().await.map(|taken| taken.job.id), worker.take().await.is_none()) });
    tokio::task::yield_now().await;
    let id = ledger.admit(None, request("python", "x"), None).await.unwrap();
    while state(&ledger, id) != State::Running {
        tokio::task::yield_now().await;
    }
    ledger.close();
    assert_eq!(first.await.unwrap(), (Some(id), true));
    assert_eq!(admit(&ledger), Err(Refusal::ShuttingDown));
    assert_eq!(ledger.ready(), Err(Refusal::ShuttingDown));
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
    assert!(now(ledger.admit(None, request("ruby", "x"), None)).unwrap().is_err());
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
    let send = |size: usize| now(ledger.admit(None, request("python", &"x".repeat(size)), None)).unwrap();
    let ids: Vec<_> = [400, 300, 300].map(|size| send(size).unwrap()).into();
    assert!(matches!(send(1), Err(Refusal::QueueFull { .. })));
    now(ledger.take()).unwrap().unwrap();
    assert_eq!(ledger.lock().bytes, 600);
    now(ledger.cancel(ids[2])).unwrap().unwrap();
    assert_eq!(ledger.lock().bytes, 300);
    // What a restart takes up counts again, also what was running.
    let again = now(Ledger::open(admission(), capacity(1, 10), store)).unwrap().unwrap();
    assert_eq!(again.lock().bytes, 700);
}

/// Of the bytes too each has its part by its share; and nobody is kept out by the size of his own program alone.
#[test]
fn the_bytes_of_one_owner_leave_the_others_theirs() {
    let admission = admission().with_tokens(&model::tokens());
    let ledger = now(Ledger::open(admission, capacity(1, 100), Arc::new(MemoryStore::new()))).unwrap().unwrap();
    let send = |name: &str, size: usize| {
        now(ledger.admit(Owner::named(name), request("python", &"x".repeat(size)), None)).unwrap()
    };
    // Of a thousand, a has three fifths, b and whoever has no token one each.
    for (name, sizes) in [("a", [500, 100]), ("b", [150, 50]), ("", [0, 0])] {
        for size in sizes.into_iter().filter(|size| *size > 0) {
            send(name, size).unwrap();
        }
    }
    assert!(matches!(send("a", 1), Err(Refusal::TooManyWaiting { .. })));
    assert!(matches!(send("b", 1), Err(Refusal::TooManyWaiting { .. })));
    send("", 199).unwrap();
    assert!(matches!(send("", 2), Err(Refusal::QueueFull { .. })));
    now(ledger.take()).unwrap().unwrap();
    send("a", 500).unwrap();
}

/// A program with so many tests.
fn draft(runs: usize) -> Draft {
    Draft {
        language: "c".into(),
        program: Program::Source("x".into()),
        runs: vec![RunDraft::default(); runs],
        several: Some(Several::default()),
        invocation: Invocation::default(),
        compile: None,
        run: None,
        streams: Streams::Separate,
        collect: Vec::new(),
        checker: None,
        diagnose: false,
    }
}

/// One that holds the workers with many tests, or for long, waits until the others have had as much.
#[test]
fn many_runs_and_long_ones_cost_their_owner_more() {
    let admission = admission().with_tokens(&model::tokens());
    let store = Arc::new(MemoryStore::new());
    let ledger = now(Ledger::open(admission, Capacity { waiting_bytes: Bytes(1 << 20), ..capacity(2, 200) }, store));
    let ledger = ledger.unwrap().unwrap();
    let send =
        |name: &str, runs: usize| now(ledger.admit_draft(Owner::named(name), draft(runs), None)).unwrap().unwrap();
    // Of the same share.
    let (many, one) = ([10, 10, 1].map(|runs| send("", runs)), [(); 30].map(|()| send("b", 1)));
    // Runs the next one for so long; whether it is of those with many runs.
    let next = |seconds: u64| {
        let id = now(ledger.take()).unwrap().unwrap().job.id;
        let mut inner = ledger.lock();
        let moment = &mut inner.live.get_mut(&id).unwrap().moment;
        moment.1 = moment.1.checked_sub(Duration::from_secs(seconds)).unwrap();
        drop(inner);
        now(ledger.finish(id, ran(Verdict::Ok))).unwrap();
        assert!(many.contains(&id) || one.contains(&id));
        many.contains(&id)
    };
    assert!(next(0));
    assert_eq!((0..10).filter(|_| next(0)).count(), 0);
    // As long as it has runs, it costs no more; then five seconds of one run are five.
    assert!(next(9));
    assert_eq!((0..10).filter(|_| next(0)).count(), 0);
    assert!(next(5));
    let late = send("", 1);
    // Of the same moment, the one that came first.
    assert_eq!((0..6).filter(|_| next(0)).count(), 0);
    assert_eq!(now(ledger.take()).unwrap().unwrap().job.id, late);
}

/// What still runs when somebody comes counts whole once it ends, what it had before he came among it; until then they take
/// turns, and what had ended before he came is not held against anybody.
#[test]
fn one_that_runs_when_another_comes_counts_once_it_ends() {
    let admission = admission().with_tokens(&model::tokens());
    let store = Arc::new(MemoryStore::new());
    let ledger = now(Ledger::open(admission, Capacity { waiting_bytes: Bytes(1 << 20), ..capacity(2, 400) }, store));
    let ledger = ledger.unwrap().unwrap();
    let send = |name: &str, count: usize| -> Vec<JobId> {
        let owner = Owner::named(name);
        (0..count).map(|_| now(ledger.admit_draft(owner.clone(), draft(1), None)).unwrap().unwrap()).collect()
    };
    let take = || now(ledger.take()).unwrap().unwrap().job.id;
    let end = |id: JobId, seconds: u64| {
        let mut inner = ledger.lock();
        let moment = &mut inner.live.get_mut(&id).unwrap().moment;
        moment.1 = moment.1.checked_sub(Duration::from_secs(seconds)).unwrap();
        drop(inner);
        now(ledger.finish(id, ran(Verdict::Ok))).unwrap();
    };
    let mine = send("", 70);
    let (long, before) = (take(), take());
    end(before, 500);
    let others = send("b", 70);
    // Of so many that start next, how many are his who came.
    let next = |count: usize| {
        let started = std::iter::repeat_with(|| {
            let id = take();
            end(id, 0);
            id
        });
        started.take(count).filter(|id| others.contains(id)).count()
    };
    assert_eq!(next(1), 1, "whoever comes is the next");
    assert!((9..=11).contains(&next(20)), "they take turns while it runs");
    end(long, 30);
    // Twenty-nine more than the start that it was charged.
    assert!((28..=30).contains(&next(30)), "all of it counts, once it has ended");
    assert!((9..=11).contains(&next(20)), "and then no more");
    assert!(mine.contains(&long) && mine.contains(&before));
}

#[test]
fn only_the_first_ending_counts_and_a_running_job_is_told() {
    let ledger = ledger(1, 2);
    let id = admit(&ledger).unwrap();
    let taken = now(ledger.take()).unwrap().unwrap();
    let told = now(ledger.cancel(id)).unwrap().unwrap().unwrap();
    assert!(told.state == State::Running && taken.cancel.is_cancelled());
    now(ledger.finish(id, ran(Verdict::Ok))).unwrap();
    now(ledger.finish(id, ran(Verdict::ExitStatus(1)))).unwrap();
    assert_eq!(state(&ledger, id), State::Completed);
    let ended = look(&ledger, id);
    assert!(ended.queued_at <= ended.started_at.unwrap() && ended.started_at <= ended.completed_at);
    assert_eq!(ledger.stats().running, 0);
}

#[test]
fn what_waits_can_be_cancelled_in_the_queue_and_behind_it() {
    let ledger = ledger(1, 9);
    let ids = [(); 4].map(|()| admit(&ledger).unwrap());
    for id in [ids[2], ids[0], ids[0]] {
        let ended = now(ledger.cancel(id)).unwrap().unwrap().unwrap();
        assert_eq!((ended.state, ended.started_at), (State::Failed, None));
        assert_eq!(look(&ledger, id).report, Some(JobReport::cancelled()));
    }
    assert_eq!(now(ledger.cancel(JobId::random())).unwrap().unwrap().map(|found| found.id), None);
    assert_eq!((state(&ledger, ids[1]), state(&ledger, ids[3])), (State::Queued, State::Pending));
    let stats = ledger.stats();
    assert_eq!((stats.queued, stats.pending, stats.running, stats.submissions), (1, 1, 0, 4));
    for id in [ids[1], ids[3]] {
        assert_eq!(now(ledger.take()).unwrap().unwrap().job.id, id);
    }
    assert!(now(ledger.take()).is_none());
}

/// What waits behind the queue is not in memory.
#[test]
fn only_the_queue_and_what_runs_are_in_memory() {
    let ledger = ledger(3, 1000);
    let ids: Vec<_> = (0..500).map(|_| admit(&ledger).unwrap()).collect();
    now(ledger.take()).unwrap().unwrap();
    assert_eq!(ledger.lock().live.len(), 4);
    assert_eq!((ledger.stats().queued, ledger.stats().pending), (3, 496));
    assert_eq!((state(&ledger, ids[4]), state(&ledger, ids[3])), (State::Pending, State::Queued));
}

#[test]
fn the_same_key_is_the_same_submission() {
    let ledger = ledger(1, 2);
    let key = |name: &str, body: u8| Some(IdempotencyKey { name: name.into(), body: [body; 32] });
    let submit = |key| now(ledger.admit(None, request("python", "x"), key)).unwrap();
    let first = submit(key("a", 1)).unwrap();
    assert_eq!(submit(key("a", 1)), Ok(first));
    assert_eq!(submit(key("a", 2)), Err(Refusal::KeyReused));
    assert_ne!(submit(key("b", 1)).unwrap(), first);
    // It is known also when there is no place for another one, and after its end.
    assert!(matches!(submit(key("c", 1)), Err(Refusal::QueueFull { .. })));
    now(ledger.take()).unwrap().unwrap();
    now(ledger.finish(first, ran(Verdict::Ok))).unwrap();
    assert_eq!(submit(key("a", 1)), Ok(first));
    assert_eq!(ledger.stats().submissions, 2);
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
    assert_eq!(look(&after, ids[1]).started_at, None);
    assert_eq!(look(&after, ids[1]).queued_at, look(&before, ids[1]).queued_at);
    assert_eq!(after.stats().submissions, 4);
    assert_eq!(now(after.take()).unwrap().unwrap().job.id, ids[1]);
}

#[test]
fn a_job_that_takes_the_service_down_runs_three_times() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let open = || now(Ledger::open(admission(), capacity(1, 10), Arc::clone(&store))).unwrap().unwrap();
    let (bad, good) = {
        let ledger = open();
        let both = (admit(&ledger).unwrap(), admit(&ledger).unwrap());
        now(ledger.take()).unwrap().unwrap();
        both
    };
    for _ in 0..2 {
        assert_eq!(now(open().take()).unwrap().unwrap().job.id, bad);
    }
    let ledger = open();
    let ended = look(&ledger, bad);
    assert_eq!((ended.state, &ended.report), (State::Failed, &Some(JobReport::faulted(Fault::Interrupted))));
    assert!(ended.started_at.is_some() && ended.started_at <= ended.completed_at);
    assert_eq!(now(ledger.take()).unwrap().unwrap().job.id, good);
}

#[test]
fn what_a_shutdown_interrupts_runs_again_and_is_not_counted_as_an_attempt() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut id = None;
    for _ in 0..5 {
        let ledger = now(Ledger::open(admission(), capacity(1, 10), Arc::clone(&store))).unwrap().unwrap();
        let id = *id.get_or_insert_with(|| admit(&ledger).unwrap());
        let taken = now(ledger.take()).unwrap().unwrap();
        assert_eq!(taken.job.id, id);
        ledger.close();
        ledger.interrupt();
        assert!(taken.cancel.is_cancelled());
        now(ledger.finish(id, ran(Verdict::Cancelled))).unwrap();
        assert_eq!(state(&ledger, id), State::Pending);
        now(ledger.shut()).unwrap().unwrap();
    }
    // What ends by itself after all has ended, and what a client has cancelled is cancelled.
    for (cancel, verdict) in [(false, Verdict::Ok), (true, Verdict::Cancelled)] {
        let ledger = ledger(1, 1);
        let id = admit(&ledger).unwrap();
        now(ledger.take()).unwrap().unwrap();
        if cancel {
            now(ledger.cancel(id)).unwrap().unwrap();
        }
        ledger.interrupt();
        now(ledger.finish(id, ran(verdict))).unwrap();
        assert!(state(&ledger, id).ended(), "{verdict:?}");
    }
}
