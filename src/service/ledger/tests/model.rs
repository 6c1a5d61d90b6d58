//! The ledger over random orders of events, crashes and restarts among them, against a model that keeps one list of what
//! waits: its first places are the queue. Over the store in memory, made to forget what it may, and over the one on disk.

use std::collections::HashMap;
use std::future::ready;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::service::ledger::recovery::ATTEMPTS;
use crate::store::disk::tests::Disk;

const WORKERS: usize = 2;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// With which key, if any, and which body.
    Admit(Option<u8>, u8),
    Take,
    Finish(usize, bool),
    Cancel(usize),
    Crash,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (proptest::option::of(0_u8..4), 0_u8..2).prop_map(|(key, body)| Event::Admit(key, body)),
        5 => Just(Event::Take),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(at, well)| Event::Finish(at, well)),
        2 => any::<usize>().prop_map(Event::Cancel),
        1 => Just(Event::Crash),
        1 => Just(Event::Restart),
    ]
}

/// A place where stores are kept beyond the end of a service.
trait Shelf {
    fn open(&mut self) -> Arc<dyn Store>;
    /// What a machine that dies now leaves.
    fn crash(&mut self);
}

/// Keeps all but the lazy notes of a store that was not written since.
#[derive(Debug, Default)]
struct Forgetful {
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

/// What is known of one submission.
#[derive(Clone, Debug, Default)]
struct Known {
    /// As the store counts them.
    attempts: u8,
    /// How often it was handed to a worker and cut off by a crash.
    cut_off: u8,
    running: bool,
    /// Its start is durable.
    noted: bool,
    /// A client has cancelled it while it ran.
    cancelled: bool,
    ended: Option<State>,
}

/// The model, beside what it is held against.
struct Scene<S: Shelf> {
    shelf: S,
    ledger: Ledger,
    queue: usize,
    waiting: usize,
    /// In the order of arrival.
    all: Vec<JobId>,
    known: HashMap<JobId, Known>,
    keys: HashMap<u8, (JobId, u8)>,
    /// The ended ones as they were first seen.
    seen: HashMap<JobId, Arc<Submission>>,
}

impl<S: Shelf> Scene<S> {
    async fn new(mut shelf: S, queue: usize, waiting: usize) -> Self {
        let ledger = Ledger::open(admission(), capacity(queue, waiting), shelf.open()).await.unwrap();
        Self {
            shelf,
            ledger,
            queue,
            waiting,
            all: Vec::new(),
            known: HashMap::new(),
            keys: HashMap::new(),
            seen: HashMap::new(),
        }
    }

    fn unended(&self) -> Vec<JobId> {
        self.all.iter().filter(|id| self.known[id].ended.is_none()).copied().collect()
    }

    fn waits(&self) -> Vec<JobId> {
        self.unended().into_iter().filter(|id| !self.known[id].running).collect()
    }

    fn runs(&self) -> Vec<JobId> {
        self.unended().into_iter().filter(|id| self.known[id].running).collect()
    }

    /// Something became durable, and with it all notes before it.
    fn wrote(&mut self) {
        for known in self.known.values_mut().filter(|known| known.running) {
            known.noted = true;
        }
    }

    fn of(&mut self, id: JobId) -> &mut Known {
        self.known.get_mut(&id).unwrap()
    }

    async fn play(&mut self, event: Event) {
        match event {
            Event::Admit(key, body) => self.admit(key, body).await,
            Event::Take if self.runs().len() < WORKERS => self.take().await,
            Event::Finish(at, well) if !self.runs().is_empty() => {
                let runs = self.runs();
                let id = runs[at % runs.len()];
                let (verdict, state) =
                    if well { (Verdict::Ok, State::Completed) } else { (Verdict::Signal(9), State::Failed) };
                self.ledger.finish(id, ran(verdict)).await;
                let known = self.of(id);
                (known.running, known.ended) = (false, Some(state));
                self.wrote();
            }
            Event::Cancel(at) if !self.all.is_empty() => {
                let id = self.all[at % self.all.len()];
                let before = self.known[&id].clone();
                let seen = self.ledger.cancel(id).await.unwrap().unwrap();
                assert_eq!(seen.state.ended(), !before.running, "{seen:?}");
                if before.running {
                    self.of(id).cancelled = true;
                } else if before.ended.is_none() {
                    self.of(id).ended = Some(State::Failed);
                    self.wrote();
                }
            }
            Event::Crash => self.crash().await,
            Event::Restart => self.restart().await,
            Event::Take | Event::Finish(..) | Event::Cancel(_) => {}
        }
    }

    async fn admit(&mut self, key: Option<u8>, body: u8) {
        let named = key.map(|key| IdempotencyKey { name: key.to_string(), body: [body; 32] });
        let answer = self.ledger.admit(request("python", "x"), named).await;
        let full = self.waits().len() >= self.waiting;
        match key.and_then(|key| self.keys.get(&key)) {
            Some((id, kept)) if *kept == body => assert_eq!(answer, Ok(*id)),
            Some(_) => assert_eq!(answer, Err(Refusal::KeyReused)),
            None if full => assert!(matches!(answer, Err(Refusal::QueueFull { .. })), "{answer:?}"),
            None => {
                let id = answer.unwrap();
                self.all.push(id);
                self.known.insert(id, Known::default());
                if let Some(key) = key {
                    self.keys.insert(key, (id, body));
                }
                self.wrote();
            }
        }
    }

    async fn take(&mut self) {
        let Some(first) = self.waits().first().copied() else {
            assert!(self.ledger.queue.is_empty());
            return;
        };
        let taken = self.ledger.take().await.unwrap();
        assert_eq!(taken.job.id, first);
        let known = self.of(first);
        (known.running, known.noted) = (true, false);
        known.attempts += 1;
        if known.attempts > 1 {
            self.wrote();
        }
    }

    /// The next service finds what was durable.
    async fn crash(&mut self) {
        self.shelf.crash();
        let mut doubtful = WORKERS;
        for id in self.unended() {
            let known = self.of(id);
            if known.running {
                known.cut_off += 1;
            }
            if known.running && !known.noted {
                known.attempts -= 1;
            }
            let noted = known.running && known.noted;
            if noted && known.attempts >= ATTEMPTS {
                known.ended = Some(State::Failed);
                let cut_off = known.cut_off;
                assert!(cut_off + 1 >= ATTEMPTS, "given up after {cut_off} runs");
            } else if !noted && doubtful > 0 {
                known.attempts = known.attempts.max(1);
            }
            doubtful = doubtful.saturating_sub(1);
            let cut_off = known.cut_off;
            (known.running, known.noted, known.cancelled) = (false, false, false);
            assert!(cut_off <= ATTEMPTS, "run {cut_off} times");
        }
        self.open().await;
    }

    /// The service ends in order; what still runs is put back.
    async fn restart(&mut self) {
        self.ledger.close();
        self.ledger.interrupt();
        for id in self.runs() {
            self.ledger.finish(id, ran(Verdict::Cancelled)).await;
            let known = self.of(id);
            known.running = false;
            if known.cancelled {
                known.ended = Some(State::Failed);
            } else {
                known.attempts -= 1;
            }
        }
        self.ledger.shut().await.unwrap();
        self.open().await;
    }

    async fn open(&mut self) {
        let store = self.shelf.open();
        self.ledger = Ledger::open(admission(), capacity(self.queue, self.waiting), store).await.unwrap();
    }

    async fn check(&mut self) {
        let waits = self.waits();
        for id in &self.all {
            let known = &self.known[id];
            let place = waits.iter().position(|other| other == id);
            let expected = match (known.ended, place) {
                (Some(state), _) => state,
                (None, Some(place)) if place < self.queue => State::Queued,
                (None, Some(_)) => State::Pending,
                (None, None) => State::Running,
            };
            let seen = self.ledger.lookup(*id).await.unwrap().unwrap();
            assert_eq!(seen.state, expected, "{known:?}");
            assert_eq!(self.ledger.status(*id).await.unwrap().unwrap().state, expected);
            assert_eq!((seen.completed_at.is_some(), seen.report.is_some()), (expected.ended(), expected.ended()));
            assert!(seen.started_at.is_some() || expected != State::Running);
            if expected.ended() {
                let first = self.seen.entry(*id).or_insert_with(|| Arc::clone(&seen));
                assert_eq!(
                    (&first.report, first.state, first.started_at, first.completed_at),
                    (&seen.report, seen.state, seen.started_at, seen.completed_at)
                );
            }
        }
        let stats = self.ledger.stats();
        assert_eq!((stats.queued, stats.running), (waits.len().min(self.queue), self.runs().len()));
        assert_eq!((stats.pending, stats.submissions), (waits.len() - stats.queued, self.all.len() as u64));
    }
}

fn play(shelf: impl Shelf, queue: usize, waiting: usize, events: Vec<Event>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut scene = Scene::new(shelf, queue, waiting).await;
        for event in events {
            scene.play(event).await;
            scene.check().await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_events(queue in 1_usize..4, waiting in 1_usize..8, events in proptest::collection::vec(event(), 0..80)) {
        play(Arc::new(Forgetful::default()), queue, waiting, events);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_events_on_disk(queue in 1_usize..4, waiting in 1_usize..8, events in proptest::collection::vec(event(), 0..60)) {
        play(Disk::new(), queue, waiting, events);
    }
}
