//! The one thread that writes. Whatever waits when it is free becomes one transaction and shares one sync; each is
//! answered after it. A note that may wait rides with the next transaction.
//!
//! What a transaction that failed would have inserted may be in the file all the same. When its writes did not get to the
//! disk (`unsynced`), they are made again until they do; meanwhile nothing else is written, and readers see what was
//! before. After an error of reading, or a surprise, the database is closed and opened again; until that works nothing can
//! be read either. Then what the failed transaction inserted is taken back: its submitters were told that nothing was
//! accepted.

use std::fs::File;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use nix::fcntl::Flock;
use nix::sys::statvfs::statvfs;
use redb::Database;
use tokio::sync::oneshot;

use super::change::{Change, undo};
use super::open::{self, Opened, Opener};
use super::read::Snapshot;
use super::retention::{self, Retention};
use super::tables::Tables;
use crate::metrics;
use crate::model::{Bytes, JobId};
use crate::store::{Inserted, StoreError};
use crate::telemetry::chain;

/// How often an idle writer looks for what has become too old, and for room on the disk.
const LOOK: Duration = Duration::from_secs(5);

/// The longest pause between attempts to write again.
const LONGEST: Duration = Duration::from_secs(2);

/// What one transaction takes at most, roughly, in bytes: so much is in memory once more until it is on the disk.
const BATCH: u64 = 16 << 20;

/// Room that ending what runs needs on the disk, in bytes; new submissions need what the settings reserve.
const ROOM: u64 = 1 << 20;

/// What somebody wants written; a lazy note wants no answer.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) change: Change,
    pub(super) answer: Option<oneshot::Sender<Result<Inserted, StoreError>>>,
}

/// What the writer and the readers share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    failing: AtomicBool,
    pub(super) counts: metrics::Store,
}

impl Shared {
    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets readers see what is in the database now.
    pub(super) fn show(&self, database: &Database) -> Result<(), redb::Error> {
        self.set(Some(Snapshot::of(database)?));
        Ok(())
    }

    fn set(&self, snapshot: Option<Snapshot>) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = snapshot.map(Arc::new);
    }

    pub(super) fn writable(&self) -> bool {
        !self.failing.load(Ordering::Relaxed)
    }
}

/// How a store is kept.
#[derive(Clone)]
pub(super) struct How {
    pub(super) opener: Opener,
    pub(super) retention: Retention,
    /// What must stay free on the disk for a submission to be accepted.
    pub(super) reserve: Bytes,
    /// How long another service may take to let go of the store.
    pub(super) patience: Duration,
    /// How long a note that may wait does.
    pub(super) lazy: Duration,
    /// The pause before the first attempt to write again.
    pub(super) again: Duration,
}

/// See the module's documentation.
pub(super) struct Writer {
    pub(super) requests: Receiver<Vec<Request>>,
    pub(super) shared: Arc<Shared>,
    pub(super) path: PathBuf,
    pub(super) how: How,
    pub(super) state: Progress,
    /// `None` after an error other than of writing.
    pub(super) opened: Option<Opened>,
    /// Held for as long as the file is open.
    pub(super) lock: Flock<File>,
}

/// Where the writer stands.
#[derive(Debug, Default)]
pub(super) struct Progress {
    batch: Vec<Request>,
    /// When the notes in `batch` must be written, if there is nothing but notes in it.
    due: Option<Instant>,
    /// When to look after the house.
    look: Option<Instant>,
    /// The pause before the next attempt to write again; `None` while all is well.
    broken: Option<Duration>,
    /// Inserted by a transaction that may or may not have become durable.
    doubtful: Vec<JobId>,
}

impl Writer {
    /// Works until every sender is gone or [`Change::Close`] was carried out.
    pub(super) fn run(mut self) {
        loop {
            let now = Instant::now();
            let look = *self.state.look.get_or_insert(now + LOOK);
            let wake = self.state.due.map_or(look, |due| due.min(look));
            match self.requests.recv_timeout(wake.saturating_duration_since(now)) {
                Ok(requests) => self.gather(requests),
                Err(RecvTimeoutError::Timeout) => self.state.due = None,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.state.due.is_some_and(|due| due > Instant::now()) {
                continue;
            }
            let closing = self.state.batch.iter().any(|request| matches!(request.change, Change::Close));
            self.commit(Instant::now() >= look);
            if closing && self.state.broken.is_none() {
                break;
            }
        }
        self.shared.set(None);
        drop(self.opened);
        drop(self.lock);
    }

    /// Takes what waits, up to the size of one transaction.
    fn gather(&mut self, first: Vec<Request>) {
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(requests) = next {
            bytes += requests.iter().map(|request| request.change.bytes()).sum::<u64>();
            self.state.batch.extend(requests);
            next = if bytes < BATCH { self.requests.try_recv().ok() } else { None };
        }
        let only_notes = self.state.batch.iter().all(|request| request.answer.is_none());
        self.state.due = only_notes.then(|| self.state.due.unwrap_or_else(|| Instant::now() + self.how.lazy));
    }

    /// Writes the batch and, when it is time (`look`), looks after the house.
    fn commit(&mut self, look: bool) {
        let mut batch = mem::take(&mut self.state.batch);
        self.state.due = None;
        if look {
            self.state.look = None;
        }
        let unreadable = self.opened.as_ref().is_some_and(|opened| opened.file.unreadable());
        if unreadable {
            tracing::error!("the store could not be read and is opened again");
            self.close("it could not be read");
        }
        if unreadable || (self.state.broken.is_some() && look) {
            self.mend();
        }
        if self.state.broken.is_some() {
            return fail(batch, "the disk could not be written");
        }
        let free = self.room();
        if !self.shared.writable() && free >= self.how.reserve.0 {
            self.set_failing(false);
        }
        self.refuse_without_room(&mut batch, free);
        if batch.is_empty() && !(look && free >= ROOM && self.due()) {
            return;
        }
        let (retention, began, changes) = (self.how.retention, Instant::now(), batch.len());
        let written = self.transaction(|tables| write(tables, &batch, retention));
        self.count(changes, began.elapsed(), written.is_ok());
        match written {
            Ok((answers, more)) => {
                for (request, answer) in batch.into_iter().zip(answers) {
                    // Whoever asked may have gone.
                    request.answer.map(|to| to.send(answer));
                }
                if more {
                    self.state.look = Some(Instant::now());
                }
            }
            Err(error) => self.give_up(batch, &error),
        }
        if !self.shared.writable() {
            let soon = Instant::now() + LONGEST;
            self.state.look = Some(self.state.look.map_or(soon, |look| look.min(soon)));
        }
    }

    /// One transaction, shown to readers once it is on the disk. Whether it is in the file after an error nobody knows.
    fn transaction<T>(&mut self, change: impl FnOnce(&mut Tables<'_>) -> Result<T, redb::Error>) -> Result<T, String> {
        let opened = self.opened.as_ref().ok_or("the store is closed")?;
        let done = catch_unwind(AssertUnwindSafe(|| -> Result<T, redb::Error> {
            let transaction = opened.database.begin_write()?;
            let done = change(&mut Tables::open(&transaction)?)?;
            transaction.commit()?;
            Ok(done)
        }));
        let done = match done {
            Ok(Ok(done)) => done,
            Ok(Err(error)) => return Err(self.close(&error.to_string())),
            Err(_) => return Err(self.close("the database failed in an unforeseen way")),
        };
        if let Some(failure) = opened.file.failure() {
            return Err(failure.to_string());
        }
        match self.shared.show(&opened.database) {
            Ok(()) => Ok(done),
            Err(error) => Err(self.close(&error.to_string())),
        }
    }

    fn count(&self, changes: usize, took: Duration, well: bool) {
        self.shared.counts.committed(changes, took, well);
        if let Ok(file) = self.path.metadata() {
            self.shared.counts.size(file.len());
        }
    }

    /// Closes a database that cannot be trusted any more; the same words again.
    fn close(&mut self, why: &str) -> String {
        self.shared.set(None);
        self.opened = None;
        self.state.broken.get_or_insert(self.how.again);
        why.to_owned()
    }

    fn due(&self) -> bool {
        self.shared.snapshot().is_some_and(|snapshot| retention::due(&snapshot.0, self.how.retention))
    }

    /// What is free on the disk, in bytes; nothing if that cannot be told.
    fn room(&self) -> u64 {
        statvfs(&self.path).map_or(0, |disk| disk.blocks_available().saturating_mul(disk.fragment_size()))
    }

    fn refuse_without_room(&self, batch: &mut Vec<Request>, free: u64) {
        let inserted: u64 =
            batch.iter().filter(|request| request.inserts()).map(|request| request.change.bytes()).sum();
        if inserted > 0 && free < self.how.reserve.0.saturating_add(2 * inserted) {
            let (inserts, rest) = mem::take(batch).into_iter().partition(Request::inserts);
            *batch = rest;
            self.set_failing(true);
            fail(inserts, "there is too little room on the disk");
        }
        let rest: u64 = batch.iter().map(|request| request.change.bytes()).sum();
        if !batch.is_empty() && free < ROOM + 2 * rest {
            self.set_failing(true);
            // Closing writes nothing of anybody's.
            let (closing, refused) = mem::take(batch).into_iter().partition(|one| matches!(one.change, Change::Close));
            *batch = closing;
            fail(refused, "there is no room on the disk");
        }
    }

    /// Tries to get to the disk what did not, and takes back what nobody was told of.
    fn mend(&mut self) {
        match self.write_again() {
            Ok(()) => {
                tracing::info!("the store can be written again");
                self.state.doubtful.clear();
                self.state.broken = None;
                self.set_failing(false);
            }
            Err(error) => {
                let pause = self.state.broken.map_or(self.how.again, |pause| (pause * 2).min(LONGEST));
                tracing::error!("the store still cannot be written: {error}");
                self.set_failing(true);
                self.state.broken = Some(pause);
                self.state.look = Some(Instant::now() + pause);
            }
        }
    }

    fn write_again(&mut self) -> Result<(), String> {
        match &self.opened {
            Some(opened) => opened.file.again().map_err(|error| error.to_string())?,
            None => {
                open::forget_pages(&self.path);
                let opened = open::existing(&self.path, &self.how.opener).map_err(|error| chain(&error))?;
                self.opened = Some(opened);
            }
        }
        let doubtful = self.state.doubtful.clone();
        self.transaction(|tables| doubtful.iter().try_for_each(|id| undo(tables, *id)))
    }

    fn give_up(&mut self, batch: Vec<Request>, error: &str) {
        tracing::error!("the store cannot be written: {error}");
        self.set_failing(true);
        self.state.doubtful.extend(batch.iter().filter_map(|request| match request.change {
            Change::Insert { id, .. } => Some(id),
            _ => None,
        }));
        self.state.broken = Some(self.how.again);
        self.state.look = Some(Instant::now() + self.how.again);
        fail(batch, error);
    }

    fn set_failing(&self, failing: bool) {
        self.shared.failing.store(failing, Ordering::Relaxed);
    }
}

impl Request {
    const fn inserts(&self) -> bool {
        matches!(self.change, Change::Insert { .. })
    }
}

/// All changes, and a step of throwing away: whether there is more of that.
#[allow(clippy::type_complexity)]
fn write(
    tables: &mut Tables<'_>,
    batch: &[Request],
    retention: Retention,
) -> Result<(Vec<Result<Inserted, StoreError>>, bool), redb::Error> {
    let answers = batch.iter().map(|request| request.change.apply(tables)).collect::<Result<Vec<_>, redb::Error>>()?;
    Ok((answers, retention::purge(tables, retention, SystemTime::now())?))
}

/// Tells everybody why.
fn fail(batch: Vec<Request>, why: &str) {
    for request in batch {
        // Whoever asked may have gone.
        request.answer.map(|to| to.send(Err(StoreError::Write(why.into()))));
    }
}
