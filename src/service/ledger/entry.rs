//! What the ledger holds in memory: what is in the queue, what runs, and what is being ended.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use crate::model::{JobId, Owner, State, Submission};
use crate::service::Feed;
use crate::store::{Inventory, Kept};

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) live: HashMap<JobId, Live>,
    /// What has ended since the line began to be read; nothing while it is not read.
    pub(super) gone: Option<HashSet<JobId>>,
    /// Submissions that wait behind the queue. Below zero for the moment in which one is in the queue already, and its
    /// admission has not counted it yet.
    pub(super) behind: i64,
    /// Admissions that wait for the store; they count as waiting.
    pub(super) storing: usize,
    /// Program texts and inputs of all that waits.
    pub(super) bytes: u64,
    /// The same, and how many they are, of each owner.
    pub(super) parts: Parts,
    pub(super) running: usize,
    pub(super) submissions: u64,
    /// A moving average of how long a job runs.
    pub(super) usual: Duration,
}

/// What waits, by owner.
#[derive(Debug, Default)]
pub(super) struct Parts(HashMap<Option<Owner>, Part>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) waiting: usize,
    pub(super) bytes: u64,
}

impl Parts {
    pub(super) fn of(&self, owner: Option<&Owner>) -> Part {
        // A key of the map is the owner itself, so that it is cloned to be looked up: the name is shared.
        self.0.get(&owner.cloned()).copied().unwrap_or_default()
    }

    /// One more that waits.
    pub(super) fn add(&mut self, owner: Option<&Owner>, bytes: u64) {
        let part = self.0.entry(owner.cloned()).or_default();
        part.waiting += 1;
        part.bytes += bytes;
    }

    fn take(&mut self, owner: Option<&Owner>, bytes: u64) {
        let part = self.0.entry(owner.cloned()).or_default();
        part.waiting = part.waiting.saturating_sub(1);
        part.bytes = part.bytes.saturating_sub(bytes);
        if part.waiting == 0 {
            self.0.remove(&owner.cloned());
        }
    }
}

#[derive(Debug)]
pub(super) struct Live {
    pub(super) submission: Arc<Submission>,
    /// How often a worker has had it, the one that has it now included.
    pub(super) attempts: u8,
    /// The size of its program text and input.
    pub(super) size: u64,
    /// What it has cost its owner so far; see `cost`.
    pub(super) charged: u64,
    pub(super) cancel: CancellationToken,
    /// One moment on both clocks: later times are counted from it, so that a clock that is set back cannot make a job end
    /// before it began.
    pub(super) moment: (SystemTime, Instant),
    /// Somebody is writing its ending.
    pub(super) ending: bool,
    /// A client wants it to end.
    pub(super) cancelled: bool,
    /// The service wants it to end, and to run again after the next start.
    pub(super) interrupted: bool,
    /// What it prints, while a worker has it.
    pub(super) feed: Option<Arc<Feed>>,
}

impl Inner {
    pub(super) fn new(left: &Inventory) -> Self {
        let behind = i64::try_from(left.unfinished).unwrap_or(i64::MAX);
        let (submissions, bytes) = (left.accepted, left.size);
        Self { behind, submissions, bytes, usual: Duration::from_secs(1), ..Self::default() }
    }

    /// How many wait, given how many are in the queue.
    pub(super) fn waiting(&self, queued: usize) -> usize {
        (queued + self.storing).saturating_add_signed(isize::try_from(self.behind).unwrap_or(isize::MAX))
    }

    /// A worker gives it back; it waits behind the queue. Not if a client has cancelled it: then nothing is changed.
    pub(super) fn wait_again(&mut self, id: JobId) -> bool {
        if self.live.get(&id).is_some_and(|live| live.cancelled) {
            return false;
        }
        self.running -= 1;
        self.behind += 1;
        if let Some(live) = self.live.remove(&id) {
            self.wait(live.submission.owner.as_ref(), live.size);
        }
        true
    }

    /// One more of this owner waits, with a program and input of this size.
    pub(super) fn wait(&mut self, owner: Option<&Owner>, bytes: u64) {
        self.bytes += bytes;
        self.parts.add(owner, bytes);
    }

    /// One of them does not wait any more.
    pub(super) fn leave(&mut self, owner: Option<&Owner>, bytes: u64) {
        self.bytes -= bytes;
        self.parts.take(owner, bytes);
    }

    /// A worker has ended with a job that ran from `begun` to `ended`.
    pub(super) fn ran(&mut self, begun: SystemTime, ended: SystemTime) {
        self.running -= 1;
        self.usual = (self.usual * 7 + ended.duration_since(begun).unwrap_or_default()) / 8;
    }
}

impl Live {
    /// Something that waits in this state.
    pub(super) fn waiting(kept: Kept, state: State) -> Self {
        let Kept { mut submission, attempts, size, .. } = kept;
        (submission.state, submission.started_at) = (state, None);
        let now = SystemTime::now().max(submission.queued_at);
        Self {
            submission: Arc::new(submission),
            attempts,
            size,
            charged: 0,
            cancel: CancellationToken::new(),
            moment: (now, Instant::now()),
            ending: false,
            cancelled: false,
            interrupted: false,
            feed: None,
        }
    }

    /// The time, never before any earlier time of this submission.
    pub(super) fn now(&self) -> SystemTime {
        self.moment.0 + self.moment.1.elapsed()
    }
}
