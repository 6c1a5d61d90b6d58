//! The bounded queue between the ledger and the workers, and what waits behind it.
//!
//! It holds ids, not jobs, and never makes anybody wait who brings one. What belongs to one owner is taken first in, first
//! out; between owners that wait it goes by their shares, so that none keeps another waiting, however much it brought. With
//! one owner, or none, all of it is first in, first out.
//!
//! This is start-time fair queueing (Goyal, Vin and Cheng, 1996): each owner has a moment of virtual time at which its next
//! one may start, and each start moves it on by the inverse of its share, as does what a start turns out to cost beyond one
//! ([`Queue::charge`]). Whoever was idle begins at the moment of the last start: nothing is saved up. Whoever comes to a
//! queue that has nothing and of which nothing runs finds nothing held against anybody.

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
    /// How many were taken and are not done.
    running: usize,
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
}

impl Lane {
    fn step(&self) -> u128 {
        STEP / u128::from(self.share.max(1))
    }

    /// When the one at `at` would start, and its place to tell it from others of the same moment; nothing if there is none.
    fn start(&self, at: usize, now: u128) -> Option<(u128, Place)> {
        let (place, _) = self.waiting.get(at)?;
        Some((self.next.max(now) + self.step() * at as u128, *place))
    }
}

impl Inner {
    /// The lane whose first in the queue is to be taken.
    fn first(&mut self) -> Option<&mut Lane> {
        let now = self.now;
        let queued = self.lanes.values_mut().filter(|lane| lane.queued > 0);
        queued.min_by_key(|lane| lane.start(0, now))
    }

    /// Takes whoever is to start.
    fn pop(&mut self) -> Option<JobId> {
        let now = self.now;
        let lane = self.first()?;
        let (start, _) = lane.start(0, now)?;
        let (_, id) = lane.waiting.pop_front()?;
        lane.queued -= 1;
        lane.next = start + lane.step();
        self.now = start;
        self.queued -= 1;
        self.running += 1;
        Some(id)
    }

    /// The owner of who is to get the next free place, and who that is.
    fn next(&self) -> Option<(&Option<Owner>, JobId)> {
        let behind = self.lanes.iter().filter(|(_, lane)| lane.waiting.len() > lane.queued);
        let (owner, lane) = behind.min_by_key(|(_, lane)| lane.start(lane.queued, self.now))?;
        lane.waiting.get(lane.queued).map(|(_, id)| (owner, *id))
    }
}

impl Queue {
    /// An empty queue with this many places.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, inner: Mutex::default(), changed: Notify::new() }
    }

    /// Lets `id` wait behind the queue, last of what its owner has there. The latest share counts.
    pub fn arrive(&self, owner: Option<&Owner>, share: u32, place: Place, id: JobId) {
        let mut inner = self.lock();
        if inner.running == 0 && inner.queued == 0 && inner.behind == 0 {
            inner.now = inner.lanes.values().map(|lane| lane.next).fold(inner.now, u128::max);
        }
        let empty = || Lane { waiting: VecDeque::new(), queued: 0, share, next: 0 };
        let lane = inner.lanes.entry(owner.cloned()).or_insert_with(empty);
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
        let (owner, id) = inner.next()?;
        Some((owner.clone(), id))
    }

    /// Gives `id` a place and says so, or changes nothing where there is none, or it is not the first of its owner behind the
    /// queue. Never waits.
    #[must_use]
    pub fn enter(&self, owner: Option<&Owner>, id: JobId) -> bool {
        let mut inner = self.lock();
        let free = !inner.closed && inner.queued < self.capacity;
        let Some(lane) = inner.lanes.get_mut(&owner.cloned()).filter(|_| free) else { return false };
        if lane.waiting.get(lane.queued).is_none_or(|(_, first)| *first != id) {
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
    pub fn done(&self) {
        let mut inner = self.lock();
        inner.running = inner.running.saturating_sub(1);
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
        let take = async |count: usize| {
            let mut order = Vec::new();
            for _ in 0..count {
                fill(&queue);
                order.push(queue.pop().await.unwrap());
            }
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
        for _ in 0..32 {
            queue.done();
        }
        let (a, b) = (bring(&queue, "a", 2, 80..90), bring(&queue, "b", 1, 90..100));
        fill(&queue);
        let first = [queue.pop().await.unwrap(), queue.pop().await.unwrap()];
        assert_eq!(first, [a[0], b[0]]);
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
