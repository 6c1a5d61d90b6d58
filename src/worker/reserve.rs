//! Containers that wait for jobs: made when nothing else is to be done, used once, at most so many.
//!
//! Each kind of container has a shelf. A shelf wants as many as jobs took from it at once lately, within its bounds. The
//! fillers make what the next job is likely to miss at any time, everything else while jobs leave two processors free: one
//! for making it, and one on which a job's processes and the service can meet.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Sandbox;
use super::blueprint::Blueprint;
use super::launch::Waiting;
use crate::model::{Bytes, Limits, StepKind, Streams};

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
        Self {
            shelves: Mutex::new(kinds.into_iter().map(shelf).collect()),
            bounds,
            traffic: Arc::default(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Says that a job is under way.
    pub(super) fn busy(&self) -> Busy {
        self.traffic.busy.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(&self.traffic))
    }

    /// A container that suits, if one waits. `warm` is whether the job can be told to one that runs already.
    pub(super) fn take(
        &self,
        language: &str,
        kind: StepKind,
        (limits, streams): (&Limits, Streams),
        warm: bool,
    ) -> Option<Waiting> {
        let mut shelves = self.lock();
        let suits = |shelf: &&mut Shelf| {
            shelf.blueprint.suits(language, kind, limits, streams) && (warm || shelf.blueprint.ahead.warm.is_none())
        };
        let shelf = shelves.iter_mut().find(suits)?;
        shelf.taken += 1;
        shelf.demand = shelf.demand.max(shelf.taken);
        shelf.asked = Some(Instant::now());
        let found = loop {
            let Some(mut first) = shelf.waiting.pop_front() else { break None };
            if first.is_well() {
                break Some(first);
            }
            tracing::warn!("a container of {language} ({kind:?}) ended while it waited: {}", first.last_words());
            tokio::spawn(first.remains.clear());
        };
        drop(shelves);
        self.traffic.changed.notify_one();
        found
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
        let lacks = |shelf: &Shelf| shelf.wanted(self.bounds).saturating_sub(shelf.waiting.len() + shelf.making);
        let lacking = shelves.iter().enumerate().filter(|(_, shelf)| shelf.rests_until.is_none_or(|until| until < now));
        // Asked for last, then lacking most.
        let first = lacking.filter(|(_, shelf)| lacks(shelf) > 0).max_by_key(|(_, shelf)| (shelf.asked, lacks(shelf)));
        let Some((at, shelf)) = first else { return Next::Wait(REST) };
        // What the next job would miss is made in any case, now or when its job is there.
        let missed = shelf.waiting.is_empty() && shelf.asked.is_some_and(|asked| now.duration_since(asked) < AGAIN);
        let jobs = self.traffic.busy.load(Ordering::Relaxed) > 0;
        if !missed && jobs && in_the_way(runnable(), self.processors) {
            return Next::Wait(SOON);
        }
        let held: u64 =
            shelves.iter_mut().flat_map(|shelf| &mut shelf.waiting).filter_map(Waiting::memory).map(|b| b.0).sum();
        if held >= self.bounds.memory.0 {
            return Next::Wait(REST);
        }
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
