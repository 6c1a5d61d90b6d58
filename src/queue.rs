//! The bounded queue between the ledger and the workers, and what waits behind it.
//!
//! It holds ids, not jobs, and never makes anybody wait who brings one. What belongs to one owner is taken first in, first
//! out; between owners that wait it goes by their shares, so that none keeps another waiting, however much it brought. With
//! one owner, or none, all of it is first in, first out. Where there can be several, the last place is for those of whom
//! nothing is in the queue: so whoever comes while it is full of another's is the next to start.
//!
//! This is start-time fair queueing (Goyal, Vin and Cheng, 1996): each owner has a moment of virtual time at which its next
//! one may start, and each start moves it on by the inverse of its share, as does what a start turns out to cost beyond one
//! ([`Queue::charge`]). Whoever was idle begins at the moment of the last start, nothing is saved up; or later, where all who
//! are there have been charged more than that: what they had while he was not there is not held against them, and where nobody
//! is there it is held against nobody.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::{JobId, Owner};
use crate::store::Place;

/// How far a start moves an owner with a share of one. Divides evenly by every share up to 16.
const STEP: u128 = 720_720 << 20;

/// The queue. Share it behind an `Arc`.
#[derive(Debug)]
pub struct Queue {
    capacity: usize,
    /// Whether the last place is kept for those of whom nothing is in the queue.
    shared: bool,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// One for each owner that was ever seen; those without an owner are one more.
    lanes: HashMap<Option<Owner>, Lane>,
    /// The virtual time of the last start.
    now: u128,
    /// How many are in the queue, and how many behind it.
    queued: usize,
    behind: usize,
    /// What was taken and is not done.
    running: HashMap<JobId, Option<Owner>>,
    closed: bool,
}

/// What waits of one owner, oldest first.
#[derive(Debug)]
struct Lane {
    waiting: VecDeque<(Place, JobId)>,
    /// How many of the first are in the queue.
    queued: usize,
    share: u32,
    /// The virtual time at which the first may start.
    next: u128,
    /// How many of it were taken and are not done.
    running: usize,
}

impl Lane {
    fn step(&self) -> u128 {
        STEP / u128::from(self.share.max(1))
    }

    /// Whether there is anything of it.
    fn is_there(&self) -> bool {
        self.running > 0 || !self.waiting.is_empty()
    }

    /// When the one at `at` would start, and its place to tell it from others of the same moment; nothing if there is none.
    fn start(&self, at: usize, now: u128) -> Option<(u128, Place)> {
        let (place, _) = self.waiting.get(at)?;
        Some((self.next.max(now) + self.step() * at as u128, *place))
    }
}

impl Inner {
    /// The lane whose first in the queue is to be taken, and whose it is.
    fn first(&mut self) -> Option<(Option<Owner>, &mut Lane)> {
        let now = self.now;
        let queued = self.lanes.iter_mut().filter(|(_, lane)| lane.queued > 0);
        queued.min_by_key(|(_, lane)| lane.start(0, now)).map(|(owner, lane)| (owner.clone(), lane))
    }

    /// Takes whoever is to start.
    fn pop(&mut self) -> Option<JobId> {
        let now = self.now;
        let (owner, lane) = self.first()?;
        let (start, _) = lane.start(0, now)?;
        let (_, id) = lane.waiting.pop_front()?;
        lane.queued -= 1;
        lane.running += 1;
        lane.next = start + lane.step();
        self.running.insert(id, owner);
        self.now = start;
        self.queued -= 1;
        Some(id)
    }

    /// Somebody comes of whom nothing is there: where those who are have all been charged for more than what has started, he
    /// begins where they are.
    fn welcome(&mut self) {
        let now = self.now;
        let there = self.lanes.values().filter(|lane| lane.is_there());
        let least = there.map(|lane| lane.next.max(now).saturating_sub(lane.step())).min();
        let all = || self.lanes.values().map(|lane| lane.next).max().unwrap_or_default();
        self.now = now.max(least.unwrap_or_else(all));
    }

    /// The owner of who is to get the next free place, and who that is. If it is the `last` one, nobody gets it of whom
    /// something is in the queue.
    fn next(&self, last: bool) -> Option<(&Option<Owner>, JobId)> {
        let may = |lane: &Lane| lane.waiting.len() > lane.queued && !(last && lane.queued > 0);
        let behind = self.lanes.iter().filter(|(_, lane)| may(lane));
        let (owner, lane) = behind.min_by_key(|(_, lane)| lane.start(lane.queued, self.now))?;
        lane.waiting.get(lane.queued).map(|(_, id)| (owner, *id))
    }
}

impl Queue {
    /// An empty queue with this many places.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, shared: false, inner: Mutex::default(), changed: Notify::new() }
    }

    /// The same where there can be several owners: the last of several places is kept for those of whom nothing is in it.
    #[must_use]
    pub const fn shared(mut self, shared: bool) -> Self {
        self.shared = shared;
        self
    }

    /// Whether the next place is one that is kept.
    const fn last(&self, inner: &Inner) -> bool {
        self.shared && self.capacity > 1 && inner.queued + 1 == self.capacity
    }

    /// Lets `id` wait behind the queue, last of what its owner has there. The latest share counts.
    pub fn arrive(&self, owner: Option<&Owner>, share: u32, place: Place, id: JobId) {
        let mut inner = self.lock();
        let owner = owner.cloned();
        if !inner.lanes.get(&owner).is_some_and(Lane::is_there) {
            inner.welcome();
        }
        let empty = || Lane { waiting: VecDeque::new(), queued: 0, share, next: 0, running: 0 };
        let lane = inner.lanes.entry(owner).or_insert_with(empty);
        lane.share = share;
        lane.waiting.push_back((place, id));
        inner.behind += 1;
    }

    /// Who is to have a place, and its owner; nothing if there is no free place, or nobody behind the queue.
    #[must_use]
    pub fn next(&self) -> Option<(Option<Owner>, JobId)> {
        let inner = self.lock();
        if inner.closed || inner.queued >= self.capacity {
            return None;
        }
        let (owner, id) = inner.next(self.last(&inner))?;
        Some((owner.clone(), id))
    }

    /// Gives `id` a place and says so, or changes nothing where there is none, or it is not the first of its owner behind the
    /// queue. Never waits.
    #[must_use]
    pub fn enter(&self, owner: Option<&Owner>, id: JobId) -> bool {
        let mut inner = self.lock();
        let (free, last) = (!inner.closed && inner.queued < self.capacity, self.last(&inner));
        let Some(lane) = inner.lanes.get_mut(&owner.cloned()).filter(|_| free) else { return false };
        if last && lane.queued > 0 || lane.waiting.get(lane.queued).is_none_or(|(_, first)| *first != id) {
            return false;
        }
        lane.queued += 1;
        inner.queued += 1;
        inner.behind -= 1;
        drop(inner);
        self.changed.notify_one();
        true
    }

    /// Whoever is to start; waits for one. To be followed by [`Queue::done`]. `None` once the queue is closed, whatever it
    /// still holds.
    pub async fn pop(&self) -> Option<JobId> {
        loop {
            // Among those that wait before the look at the queue: of several that come while nobody does, only one is told.
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut inner = self.lock();
                if inner.closed {
                    return None;
                }
                if let Some(id) = inner.pop() {
                    return Some(id);
                }
            }
            changed.await;
        }
    }

    /// What was taken of this owner costs so many starts more than the one that it was taken for.
    pub fn charge(&self, owner: Option<&Owner>, more: u64) {
        if let Some(lane) = self.lock().lanes.get_mut(&owner.cloned()) {
            lane.next += lane.step() * u128::from(more);
        }
    }

    /// One that was taken is done with, and charged.
    pub fn done(&self, id: JobId) {
        let mut inner = self.lock();
        let Some(owner) = inner.running.remove(&id) else { return };
        if let Some(lane) = inner.lanes.get_mut(&owner) {
            lane.running -= 1;
        }
    }

    /// Takes `id` out, in the queue or behind it; whether it was there.
    pub fn remove(&self, owner: Option<&Owner>, id: JobId) -> bool {
        let mut inner = self.lock();
        let Some(lane) = inner.lanes.get_mut(&owner.cloned()) else { return false };
        let Some(at) = lane.waiting.iter().position(|(_, other)| *other == id) else { return false };
        lane.waiting.remove(at);
        if at < lane.queued {
            lane.queued -= 1;
            inner.queued -= 1;
        } else {
            inner.behind -= 1;
        }
        true
    }

    /// How many ids are in the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().queued
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many ids wait behind it.
    #[must_use]
    pub fn behind(&self) -> usize {
        self.lock().behind
    }

    /// Ends every [`Queue::pop`], those that wait and those to come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
    }

    /// Nothing inside the lock can panic half-way, so a poisoned lock still guards a whole value.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn owner(name: &str) -> Option<Owner> {
        Owner::named(name)
    }

    /// Fills the free places; who got one.
    fn fill(queue: &Queue) -> Vec<JobId> {
        let entered = |(owner, id): (Option<Owner>, JobId)| queue.enter(owner.as_ref(), id).then_some(id);
        std::iter::from_fn(|| queue.next().and_then(entered)).collect()
    }

    /// So many of this owner, at these places.
    fn bring(queue: &Queue, name: &str, share: u32, places: std::ops::Range<Place>) -> Vec<JobId> {
        let ids: Vec<_> = places.clone().map(|_| JobId::random()).collect();
        for (place, id) in places.zip(&ids) {
            queue.arrive(owner(name).as_ref(), share, place, *id);
        }
        ids
    }

    #[tokio::test]
    async fn keeps_order_and_never_holds_more_than_its_capacity() {
        let queue = Queue::new(2);
        let ids = bring(&queue, "", 1, 0..3);
        assert_eq!((fill(&queue), queue.len(), queue.behind()), (ids[..2].to_vec(), 2, 1));
        assert!(!queue.enter(None, ids[2]) && !queue.enter(None, ids[0]) && queue.next().is_none());
        assert_eq!(queue.pop().await, Some(ids[0]));
        assert_eq!(fill(&queue), ids[2..]);
        assert!(
            queue.remove(None, ids[1]) && !queue.remove(None, ids[1]) && !queue.remove(owner("a").as_ref(), ids[2])
        );
        assert_eq!((queue.pop().await, queue.len(), queue.behind()), (Some(ids[2]), 0, 0));
    }

    /// Of those who wait each starts by its share, however much one of them brought and however few places there are.
    #[tokio::test]
    async fn shares_are_kept_between_those_that_wait() {
        for capacity in [1, 3, 100] {
            let queue = Queue::new(capacity);
            let a = bring(&queue, "a", 3, 0..400);
            fill(&queue);
            let b = bring(&queue, "b", 1, 400..800);
            let mut order = Vec::new();
            for _ in 0..200 {
                fill(&queue);
                order.push(queue.pop().await.unwrap());
            }
            let of = |ids: &[JobId]| order.iter().filter(|id| ids.contains(id)).count();
            assert!((149..=151).contains(&of(&a)) && of(&a) + of(&b) == 200, "{capacity}: {} {}", of(&a), of(&b));
            // Within an owner in order, and the newcomer does not wait for what was there before.
            assert!(order.iter().filter(|id| a.contains(id)).eq(&a[..of(&a)]));
            assert!(order[..6].contains(&b[0]), "{capacity}");
        }
    }

    /// However full the queue is of another's, the first of whoever comes is the next to start, and so is that of the next one.
    #[tokio::test]
    async fn a_newcomer_is_the_next_to_start() {
        for capacity in [2, 3, 100] {
            let queue = Queue::new(capacity).shared(true);
            let a = bring(&queue, "a", 16, 0..400);
            fill(&queue);
            assert_eq!(queue.len(), capacity - 1);
            assert!(!queue.enter(owner("a").as_ref(), a[capacity - 1]), "the last place is taken all the same");
            assert_eq!(queue.pop().await, Some(a[0]));
            let newcomers = [bring(&queue, "b", 1, 400..403), bring(&queue, "c", 1, 403..406)];
            for newcomer in newcomers {
                fill(&queue);
                assert_eq!(queue.pop().await, Some(newcomer[0]), "{capacity}");
            }
            fill(&queue);
            assert_eq!((queue.pop().await, queue.len()), (Some(a[1]), capacity - 1));
        }
        // One place is for everybody, and where all of it is one line so is the last.
        for queue in [Queue::new(1).shared(true), Queue::new(3)] {
            bring(&queue, "a", 1, 0..9);
            fill(&queue);
            assert_eq!(queue.len(), queue.capacity);
        }
    }

    /// Neither being idle nor having been cancelled changes what comes later; coming back again and again gains nothing.
    #[tokio::test]
    async fn nothing_is_saved_up_and_nothing_lost() {
        let queue = Queue::new(4);
        let a = bring(&queue, "a", 1, 0..100);
        for _ in 0..50 {
            fill(&queue);
            queue.pop().await;
        }
        let b = bring(&queue, "b", 1, 100..200);
        for id in &b[..90] {
            fill(&queue);
            queue.remove(owner("b").as_ref(), *id);
        }
        let mut order = Vec::new();
        for _ in 0..20 {
            fill(&queue);
            order.push(queue.pop().await.unwrap());
        }
        assert_eq!(order.iter().filter(|id| a.contains(id)).count(), 10, "{order:?}");
        // Bit by bit, whenever the last one has gone: half, as before.
        let mut mine = 0;
        let mut place = 200;
        let mut last = bring(&queue, "c", 1, place..place + 1)[0];
        for _ in 0..30 {
            fill(&queue);
            if queue.pop().await == Some(last) {
                place += 1;
                mine += 1;
                last = bring(&queue, "c", 1, place..place + 1)[0];
            }
        }
        assert!((14..=16).contains(&mine), "{mine}");
    }

    /// What is dear counts for what it costs, also where that is known only later; and what was run while nobody else was
    /// there is held against nobody.
    #[tokio::test]
    async fn what_costs_more_is_charged_and_forgotten_once_all_is_done() {
        let queue = Queue::new(3);
        let (a, b) = (bring(&queue, "a", 2, 0..40), bring(&queue, "b", 1, 40..80));
        let taken = Mutex::new(Vec::new());
        let take = async |count: usize| {
            let mut order = Vec::new();
            for _ in 0..count {
                fill(&queue);
                order.push(queue.pop().await.unwrap());
            }
            taken.lock().unwrap().extend(order.clone());
            order.iter().filter(|id| a.contains(id)).count()
        };
        assert_eq!(take(1).await, 1);
        // Ten starts at a share of two are five of the other's.
        queue.charge(owner("a").as_ref(), 9);
        assert_eq!(take(5).await, 0);
        assert_eq!(take(6).await, 4);
        queue.charge(owner("b").as_ref(), 1000);
        assert_eq!(take(20).await, 20);
        for id in a.iter().chain(&b) {
            queue.remove(owner("a").as_ref(), *id);
            queue.remove(owner("b").as_ref(), *id);
        }
        for id in taken.into_inner().unwrap() {
            queue.done(id);
        }
        let (a, b) = (bring(&queue, "a", 2, 80..90), bring(&queue, "b", 1, 90..100));
        fill(&queue);
        let first = [queue.pop().await.unwrap(), queue.pop().await.unwrap()];
        assert_eq!(first, [a[0], b[0]]);
    }

    /// What was charged for a time in which nobody else was there is held against nobody, also where something still waits or
    /// runs of whoever had it.
    #[tokio::test]
    async fn whoever_comes_begins_where_the_others_are() {
        for waits in [true, false] {
            let queue = Queue::new(9).shared(true);
            let long = bring(&queue, "b", 1, 0..2);
            fill(&queue);
            assert_eq!((queue.pop().await, queue.pop().await), (Some(long[0]), Some(long[1])));
            queue.charge(owner("b").as_ref(), 600);
            queue.done(long[0]);
            let first = if waits { bring(&queue, "b", 1, 2..30) } else { vec![] };
            fill(&queue);
            let a = bring(&queue, "a", 1, 30..90);
            let b = [first, bring(&queue, "b", 1, 90..120)].concat();
            let mut order = Vec::new();
            for _ in 0..20 {
                fill(&queue);
                order.push(queue.pop().await.unwrap());
            }
            let of = |ids: &[JobId]| order.iter().filter(|id| ids.contains(id)).count();
            assert!((9..=11).contains(&of(&b)) && of(&a) + of(&b) == 20, "{} of a, {} of b", of(&a), of(&b));
            assert_eq!(order[0], a[0], "the newcomer is the next");
            // What is charged while both are there counts.
            queue.charge(owner("b").as_ref(), 10);
            order.clear();
            for _ in 0..10 {
                fill(&queue);
                order.push(queue.pop().await.unwrap());
            }
            assert!(order.iter().filter(|id| a.contains(id)).count() >= 9, "{waits}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_pushed_id_reaches_exactly_one_popper_and_close_frees_them_all() {
        let queue = Arc::new(Queue::new(8));
        let poppers: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move {
                    let mut got = Vec::new();
                    while let Some(id) = queue.pop().await {
                        got.push(id);
                    }
                    got
                })
            })
            .collect();
        let mut pushed = Vec::new();
        for (name, share) in [("", 1), ("a", 3), ("b", 1)] {
            pushed.extend(bring(&queue, name, share, 0..200));
        }
        while queue.behind() > 0 || !queue.is_empty() {
            fill(&queue);
            tokio::task::yield_now().await;
        }
        queue.close();
        let mut got = Vec::new();
        for popper in poppers {
            got.extend(popper.await.unwrap());
        }
        pushed.sort();
        got.sort();
        assert_eq!(got, pushed);
    }
}
