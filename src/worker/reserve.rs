//! Containers that wait for jobs: made when nothing else is to be done, used once, at most so many.
//!
//! Each kind of container has a shelf. A shelf wants as many as jobs took from it at once lately, within its bounds. The
//! fillers make what the next job is likely to miss at any time, everything else while jobs leave two processors free: one
//! for making it, and one on which a job's processes and the service can meet.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::Sandbox;
use super::blueprint::Blueprint;
use super::launch::Waiting;
use crate::host::processors;
use crate::model::{Bytes, StepKind};

/// How many containers of a kind wait, and how much memory all of them may hold.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of each kind that no job asked for lately.
    pub least: usize,
    /// Of each kind, at most.
    pub most: usize,
    /// All together: none is made while those that wait have had this much.
    pub memory: Bytes,
}

/// A kind of container that could not be made is left alone for this long.
const REST: Duration = Duration::from_secs(10);

/// Demand is forgotten after this long.
const LATELY: Duration = Duration::from_secs(600);

/// How long until processors that all had something to do are looked at again.
const SOON: Duration = Duration::from_millis(50);

/// Asked for within this time, a kind of container is likely to be asked for again at once.
const AGAIN: Duration = Duration::from_secs(1);

/// Processors that jobs must leave free for a container to be made beside them.
const SPARE: usize = 2;

/// What a filler does next.
enum Next {
    /// A container for the shelf of this number.
    Make(usize, Arc<Blueprint>),
    /// Nothing before something changes, or this time has passed: demand fades and rests end without anybody's doing.
    Wait(Duration),
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Reserve {
    shelves: Mutex<Vec<Shelf>>,
    bounds: Bounds,
    traffic: Arc<Traffic>,
    processors: usize,
    /// One for each container that waits, or is made, for the next runs of a job that is under way.
    turns: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shelf {
    blueprint: Arc<Blueprint>,
    waiting: VecDeque<Waiting>,
    /// Being made.
    making: usize,
    /// Taken since the last moment at which the shelf was full, and the most of that lately.
    taken: usize,
    demand: usize,
    asked: Option<Instant>,
    rests_until: Option<Instant>,
}

/// A job under way, for as long as this lives.
#[derive(Debug)]
pub(super) struct Busy(Arc<Traffic>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

/// What goes on, as far as the fillers care.
#[derive(Debug, Default)]
struct Traffic {
    /// Jobs under way.
    busy: AtomicUsize,
    /// Something was taken, or a job has ended.
    changed: Notify,
}

impl Reserve {
    /// Empty shelves for these kinds.
    pub(super) fn new(kinds: Vec<Arc<Blueprint>>, bounds: Bounds) -> Self {
        let shelf = |blueprint| Shelf {
            blueprint,
            waiting: VecDeque::new(),
            making: 0,
            taken: 0,
            demand: 0,
            asked: None,
            rests_until: None,
        };
        let processors = processors();
        let shelves = Mutex::new(kinds.into_iter().map(shelf).collect());
        Self { shelves, bounds, traffic: Arc::default(), processors, turns: Arc::new(Semaphore::new(processors)) }
    }

    /// Says that a job is under way.
    pub(super) fn busy(&self) -> Busy {
        self.traffic.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.traffic))
    }

    /// A container that serves as one of this kind would, if one waits. `warm` is whether the job can be told to one in which
    /// something runs already.
    pub(super) fn take(&self, wanted: &Blueprint, warm: bool) -> Option<Waiting> {
        let mut shelves = self.lock();
        let suits =
            |shelf: &&mut Shelf| shelf.blueprint.serves_as(wanted) && (warm || shelf.blueprint.ahead.warm.is_none());
        let shelf = shelves.iter_mut().find(suits)?;
        shelf.taken += 1;
        shelf.demand = shelf.demand.max(shelf.taken);
        shelf.asked = Some(Instant::now());
        let found = loop {
            let Some(mut first) = shelf.waiting.pop_front() else { break None };
            if first.is_well() {
                break Some(first);
            }
            let Blueprint { language, kind, .. } = wanted;
            tracing::warn!("a container of {language} ({kind:?}) ended while it waited: {}", first.last_words());
            tokio::spawn(first.remains.clear());
        };
        drop(shelves);
        self.traffic.changed.notify_one();
        found
    }

    /// What a container that is made ahead for a job under way holds one of until its run takes it. Of all jobs together.
    pub(super) const fn turns(&self) -> &Arc<Semaphore> {
        &self.turns
    }

    /// Takes back one that was not used; gives it on where no shelf wants it.
    pub(super) fn put_back(&self, waiting: Waiting) -> Option<Waiting> {
        let mut shelves = self.lock();
        let own = |shelf: &&mut Shelf| Arc::ptr_eq(&shelf.blueprint, &waiting.blueprint);
        let Some(shelf) = shelves.iter_mut().find(own) else { return Some(waiting) };
        shelf.taken = shelf.taken.saturating_sub(1);
        if shelf.lacks(self.bounds) == 0 {
            return Some(waiting);
        }
        shelf.waiting.push_front(waiting);
        None
    }

    /// Makes what the shelves lack until `stop`. Several may do so at once.
    pub(super) async fn fill(&self, sandbox: &Arc<Sandbox>, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let changed = self.traffic.changed.notified();
            sandbox.tidy();
            let (at, blueprint) = match self.next() {
                Next::Make(at, blueprint) => (at, blueprint),
                Next::Wait(time) => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = changed => continue,
                        () = tokio::time::sleep(time) => continue,
                    }
                }
            };
            let made = sandbox.launch(&blueprint).await;
            if let Err(error) = &made {
                tracing::error!(error = error as &dyn std::error::Error, "no container can be made ahead");
            }
            if let Some(shelf) = self.lock().get_mut(at) {
                shelf.making -= 1;
                match made {
                    Ok(waiting) => shelf.waiting.push_back(waiting),
                    Err(_) => shelf.rests_until = Some(Instant::now() + REST),
                }
            }
        }
    }

    /// Clears away what waits; nobody fills any more.
    pub(super) async fn clear(&self) {
        let all: Vec<Waiting> = self.lock().iter_mut().flat_map(|shelf| shelf.waiting.drain(..)).collect();
        for waiting in all {
            waiting.remains.clear().await;
        }
    }

    /// How many containers wait for each language and step.
    pub(super) fn waiting(&self) -> Vec<(String, StepKind, usize)> {
        let mut all: Vec<(String, StepKind, usize)> = Vec::new();
        for shelf in self.lock().iter() {
            let Blueprint { language, kind, .. } = &*shelf.blueprint;
            match all.iter_mut().find(|(other, step, _)| other == language && step == kind) {
                Some((_, _, number)) => *number += shelf.waiting.len(),
                None => all.push((language.clone(), *kind, shelf.waiting.len())),
            }
        }
        all
    }

    /// How many may fill at the same time: one for each processor, so that none has to wait for what the kernel makes the
    /// other wait for.
    pub(super) const fn fillers(&self) -> usize {
        self.processors
    }

    /// The shelf that lacks most, if there is time to make something.
    fn next(&self) -> Next {
        let (now, mut shelves) = (Instant::now(), self.lock());
        for shelf in shelves.iter_mut() {
            if shelf.asked.is_some_and(|asked| now.duration_since(asked) > LATELY) {
                (shelf.demand, shelf.taken, shelf.asked) = (0, 0, None);
            }
            if shelf.waiting.len() >= shelf.wanted(self.bounds) {
                shelf.taken = 0;
            }
        }
        let rested = |shelf: &Shelf| shelf.rests_until.is_none_or(|until| until < now);
        let lacks = |at: &usize| shelves[*at].lacks(self.bounds);
        let mut lacking: Vec<usize> = (0..shelves.len()).filter(|at| rested(&shelves[*at]) && lacks(at) > 0).collect();
        // Asked for last, then lacking most.
        lacking.sort_by_key(|at| Reverse((shelves[*at].asked, lacks(at))));
        let Some(first) = lacking.first().map(|at| &shelves[*at]) else { return Next::Wait(REST) };
        // What the next job would miss is made in any case, now or when its job is there.
        let missed = first.waiting.is_empty() && first.asked.is_some_and(|asked| now.duration_since(asked) < AGAIN);
        let jobs = self.traffic.busy.load(Ordering::Relaxed) > 0;
        if !missed && jobs && in_the_way(runnable(), self.processors) {
            return Next::Wait(SOON);
        }
        let held: Vec<u64> = shelves.iter_mut().map(Shelf::held).collect();
        let Some(at) = lacking.into_iter().find(|at| has_room(&held, *at, self.bounds.memory)) else {
            return Next::Wait(REST);
        };
        let shelf = &mut shelves[at];
        shelf.making += 1;
        let blueprint = Arc::clone(&shelf.blueprint);
        // There may be more to do, for another filler.
        self.traffic.changed.notify_one();
        Next::Make(at, blueprint)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is memory for one more of the kind `at`, when each holds so much. One kind may have half of all, so that a
/// burst of it leaves room for the others.
fn has_room(held: &[u64], at: usize, memory: Bytes) -> bool {
    held.iter().sum::<u64>() < memory.0 && held[at] * 2 < memory.0
}

/// Whether a container that is made now would take a processor from jobs. Those that sleep do not count.
fn in_the_way(runnable: Option<usize>, processors: usize) -> bool {
    // One of those that run is the thread that asks.
    runnable.is_none_or(|n| n.saturating_sub(1) + SPARE.min(processors) > processors)
}

/// How many tasks of the whole machine run or want to, this one among them (proc(5), loadavg).
fn runnable() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').nth(3)?.split_once('/')?.0.parse().ok()
}

impl Shelf {
    /// How many are neither there nor being made.
    fn lacks(&self, bounds: Bounds) -> usize {
        self.wanted(bounds).saturating_sub(self.waiting.len() + self.making)
    }

    /// Memory of those that wait, as far as it is known, in bytes.
    fn held(&mut self) -> u64 {
        self.waiting.iter_mut().filter_map(Waiting::memory).map(|bytes| bytes.0).sum()
    }

    fn wanted(&self, bounds: Bounds) -> usize {
        let on_demand = self.blueprint.ahead.warm.as_ref().is_some_and(|kit| kit.on_demand);
        let least = if on_demand { 0 } else { bounds.least };
        self.demand.clamp(least, bounds.most.max(bounds.least))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_leaves_half_of_the_memory_to_the_others() {
        // Held by each kind, the kind that lacks one, all memory, whether it is made.
        for (held, at, memory, expected) in [
            ([0, 0], 0, 10, true),
            ([4, 0], 0, 10, true),
            ([5, 0], 0, 10, false),
            ([5, 0], 1, 10, true),
            ([5, 4], 1, 10, true),
            ([5, 5], 1, 10, false),
            ([8, 2], 1, 10, false),
            ([0, 0], 0, 0, false),
        ] {
            assert_eq!(has_room(&held, at, Bytes(memory)), expected, "{held:?} {at} {memory}");
        }
    }

    #[test]
    fn nothing_is_made_where_it_would_take_a_processor_from_a_job() {
        // Runnable, processors: a job that runs beside the thread that asks; one that sleeps; nobody can tell.
        for (runnable, processors, expected) in [
            (Some(2), 2, true),
            (Some(1), 2, false),
            (Some(2), 4, false),
            (Some(3), 4, false),
            (Some(4), 4, true),
            (Some(2), 1, true),
            (Some(1), 1, false),
            (None, 64, true),
        ] {
            assert_eq!(in_the_way(runnable, processors), expected, "{runnable:?} {processors}");
        }
    }
}
