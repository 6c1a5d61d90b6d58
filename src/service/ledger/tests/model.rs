//! The ledger over random orders of events, crashes and restarts among them, against a model that keeps one list of what
//! waits, and for each owner the moment at which its next one may start: who is to start first has the first place of the
//! queue. Over the store in memory, made to forget what it may, and over the one on disk.

mod shelf;

use std::collections::HashMap;
use std::num::NonZeroU32;

use proptest::prelude::*;

use self::shelf::{Forgetful, Shelf};
use super::*;
use crate::config::TokenEntry;
use crate::model::{Owner, TokenDigest};
use crate::service::StepPatches;
use crate::service::ledger::recovery::ATTEMPTS;
use crate::store::disk::tests::Disk;

const WORKERS: usize = 2;

/// Who submits, with the share of each. One start moves an owner on by `STEP` over its share.
const SHARES: [(&str, u32); 3] = [("", 1), ("a", 3), ("b", 1)];
const STEP: u32 = 3;

pub fn tokens() -> Vec<TokenEntry> {
    let named = SHARES.iter().filter_map(|(name, share)| Some((Owner::named(name)?, NonZeroU32::new(*share)?)));
    let entry = |(owner, share): (Owner, NonZeroU32)| TokenEntry {
        digest: TokenDigest::of(owner.as_str().as_bytes()),
        owner,
        rate: None,
        share,
        waiting: None,
        ceilings: StepPatches::default(),
    };
    named.map(entry).collect()
}

/// How many of an owner may wait, of so many in all.
fn part(owner: usize, all: usize) -> usize {
    let shares: u32 = SHARES.iter().map(|(_, share)| share).sum();
    (all * SHARES[owner].1 as usize / shares as usize).max(1)
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// Whose, with which key, if any, and which body.
    Admit(usize, Option<u8>, u8),
    Take,
    Finish(usize, bool),
    Cancel(usize),
    Crash,
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..SHARES.len(), proptest::option::of(0_u8..4), 0_u8..2)
            .prop_map(|(owner, key, body)| Event::Admit(owner, key, body)),
        5 => Just(Event::Take),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(at, well)| Event::Finish(at, well)),
        2 => any::<usize>().prop_map(Event::Cancel),
        1 => Just(Event::Crash),
        1 => Just(Event::Restart),
    ]
}

/// An admission that knows every owner.
fn shared() -> Admission {
    admission().with_tokens(&tokens())
}

/// What is known of one submission.
#[derive(Clone, Debug, Default)]
struct Known {
    /// Of [`SHARES`].
    owner: usize,
    /// It has a place in the queue.
    queued: bool,
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
    /// The virtual time of the last start, and of each owner's next.
    now: u32,
    next: [u32; SHARES.len()],
    keys: HashMap<(usize, u8), (JobId, u8)>,
    /// The ended ones as they were first seen.
    seen: HashMap<JobId, Arc<Submission>>,
}

impl<S: Shelf> Scene<S> {
    async fn new(mut shelf: S, queue: usize, waiting: usize) -> Self {
        let ledger = Ledger::open(shared(), capacity(queue, waiting), shelf.open()).await.unwrap();
        Self {
            shelf,
            ledger,
            queue,
            waiting,
            all: Vec::new(),
            known: HashMap::new(),
            now: 0,
            next: [0; SHARES.len()],
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

    /// How much there is of an owner that has not ended.
    fn there(&self, owner: usize) -> usize {
        self.unended().iter().filter(|id| self.known[id].owner == owner).count()
    }

    /// What waits of an owner, in the queue (`queued`) or behind it.
    fn waits_of(&self, owner: usize, queued: bool) -> Vec<JobId> {
        let waits = self.waits().into_iter();
        waits.filter(|id| self.known[id].owner == owner && self.known[id].queued == queued).collect()
    }

    /// Of the first in the queue of each owner (`queued`), or behind it, the one that may start first; of several the oldest.
    /// Only of those owners of whom so many are in the queue at most.
    fn earliest(&self, queued: bool, most: usize) -> Option<JobId> {
        let few = |owner: &usize| self.waits_of(*owner, true).len() <= most;
        let each = (0..SHARES.len()).filter(few).filter_map(|owner| {
            let first = *self.waits_of(owner, queued).first()?;
            let before = if queued { 0 } else { self.waits_of(owner, true).len() };
            let start = self.next[owner].max(self.now) + STEP / SHARES[owner].1 * u32::try_from(before).unwrap();
            Some((start, self.all.iter().position(|id| *id == first)?, first))
        });
        each.min().map(|(.., first)| first)
    }

    /// Every free place of the queue is taken at once; the last of several by those alone of whom nothing is in the queue.
    fn fill(&mut self) {
        loop {
            let free = self.queue - self.waits().iter().filter(|id| self.known[id].queued).count();
            let most = if free == 1 && self.queue > 1 { 0 } else { usize::MAX };
            let Some(next) = (free > 0).then(|| self.earliest(false, most)).flatten() else { return };
            self.of(next).queued = true;
        }
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
            Event::Admit(owner, key, body) => self.admit(owner, key, body).await,
            Event::Take if self.runs().len() < WORKERS => self.take().await,
            Event::Finish(at, well) if !self.runs().is_empty() => {
                let runs = self.runs();
                let id = runs[at % runs.len()];
                let (verdict, state) =
                    if well { (Verdict::Ok, State::Completed) } else { (Verdict::Signal(9), State::Failed) };
                self.ledger.finish(id, ran(verdict)).await;
                // On a slow machine it has had a worker for some seconds.
                let ended = self.ledger.status(id).await.unwrap().unwrap();
                let took = ended.completed_at.unwrap().duration_since(ended.started_at.unwrap()).unwrap();
                let known = self.of(id);
                (known.running, known.ended) = (false, Some(state));
                let owner = known.owner;
                let more = u32::try_from(took.as_secs().saturating_sub(1)).unwrap();
                self.next[owner] += STEP / SHARES[owner].1 * more;
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
                    self.fill();
                }
            }
            Event::Crash => self.crash().await,
            Event::Restart => self.restart().await,
            Event::Take | Event::Finish(..) | Event::Cancel(_) => {}
        }
    }

    async fn admit(&mut self, owner: usize, key: Option<u8>, body: u8) {
        let named = key.map(|key| IdempotencyKey { name: key.to_string(), body: [body; 32] });
        let name = Owner::named(SHARES[owner].0);
        let answer = self.ledger.admit(name.clone(), request("python", "x"), named).await;
        let full = self.waits().len() >= self.waiting;
        let mine = self.waits().iter().filter(|id| self.known[id].owner == owner).count();
        let part = mine >= part(owner, self.waiting);
        match key.and_then(|key| self.keys.get(&(owner, key))) {
            Some((id, kept)) if *kept == body => assert_eq!(answer, Ok(*id)),
            Some(_) => assert_eq!(answer, Err(Refusal::KeyReused)),
            None if part && name.is_some() => {
                assert!(matches!(answer, Err(Refusal::TooManyWaiting { .. })), "{answer:?}");
            }
            None if full || part => {
                assert!(matches!(answer, Err(Refusal::QueueFull { .. })), "{answer:?}");
            }
            None => {
                let id = answer.unwrap();
                if self.there(owner) == 0 {
                    // What was run while there was nobody else is held against nobody.
                    let others = (0..SHARES.len()).filter(|other| self.there(*other) > 0);
                    let at = others.map(|other| self.next[other].max(self.now).saturating_sub(STEP / SHARES[other].1));
                    let all = self.next.into_iter().max().unwrap();
                    self.now = self.now.max(at.min().unwrap_or(all));
                }
                self.all.push(id);
                self.known.insert(id, Known { owner, ..Known::default() });
                if let Some(key) = key {
                    self.keys.insert((owner, key), (id, body));
                }
                self.wrote();
                self.fill();
            }
        }
    }

    async fn take(&mut self) {
        let Some(first) = self.earliest(true, usize::MAX) else {
            assert!(self.ledger.queue.is_empty());
            return;
        };
        let taken = self.ledger.take().await.unwrap();
        assert_eq!(taken.job.id, first);
        let owner = self.known[&first].owner;
        self.now = self.now.max(self.next[owner]);
        self.next[owner] = self.now + STEP / SHARES[owner].1;
        let known = self.of(first);
        (known.running, known.noted, known.queued) = (true, false, false);
        known.attempts += 1;
        if known.attempts > 1 {
            self.wrote();
        }
        self.fill();
    }

    /// The next service finds what was durable.
    async fn crash(&mut self) {
        self.shelf.crash();
        let mut doubtful = [WORKERS; SHARES.len()];
        for id in self.unended() {
            let known = self.of(id);
            let doubtful = &mut doubtful[known.owner];
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
            } else if !noted && *doubtful > 0 {
                known.attempts = known.attempts.max(1);
            }
            *doubtful = doubtful.saturating_sub(1);
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
        self.ledger = Ledger::open(shared(), capacity(self.queue, self.waiting), store).await.unwrap();
        (self.now, self.next) = (0, [0; SHARES.len()]);
        self.known.values_mut().for_each(|known| known.queued = false);
        self.fill();
    }

    async fn check(&mut self) {
        let waits = self.waits();
        for id in &self.all {
            let known = &self.known[id];
            let expected = match known.ended {
                Some(state) => state,
                None if known.running => State::Running,
                None if known.queued => State::Queued,
                None => State::Pending,
            };
            let seen = self.ledger.lookup(*id).await.unwrap().unwrap();
            assert_eq!(seen.state, expected, "{known:?}");
            assert_eq!(self.ledger.status(*id).await.unwrap().unwrap().state, expected);
            assert_eq!(seen.owner, Owner::named(SHARES[known.owner].0));
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
        let queued = waits.iter().filter(|id| self.known[id].queued).count();
        assert!(queued >= waits.len().min(self.queue.max(2) - 1), "{queued} of {} in {}", waits.len(), self.queue);
        assert_eq!((stats.queued, stats.running), (queued, self.runs().len()));
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
