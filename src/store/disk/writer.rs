//! The one thread that writes. Whatever waits when it is free becomes one transaction and shares one sync; each is
//! answered after it. A note that may wait rides with the next transaction.
//!
//! After an error of the disk the database is closed and opened again, since it trusts itself no longer; until that
//! works, nothing can be written or read. Whether the failed transaction is in the file then is anybody's guess, so what
//! it would have inserted is taken back first: its submitters were told that nothing was accepted.

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
use redb::{Database, Error};
use tokio::sync::oneshot;

use super::change::{Change, undo};
use super::open::{self, Opener};
use super::retention::{self, Retention};
use super::tables::Tables;
use crate::model::{Bytes, JobId};
use crate::store::{Inserted, StoreError};
use crate::telemetry::chain;

/// How often an idle writer looks for what has become too old, and for room on the disk.
const LOOK: Duration = Duration::from_secs(5);

/// Pauses between attempts to open the database again: the first, and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What one transaction takes at most, roughly, in bytes.
const BATCH: u64 = 32 << 20;

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
    database: RwLock<Option<Arc<Database>>>,
    failing: AtomicBool,
}

impl Shared {
    pub(super) fn database(&self) -> Option<Arc<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, database: Option<Database>) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = database.map(Arc::new);
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
}

/// See the module's documentation.
pub(super) struct Writer {
    pub(super) requests: Receiver<Request>,
    pub(super) shared: Arc<Shared>,
    pub(super) path: PathBuf,
    pub(super) how: How,
    pub(super) state: Progress,
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
    /// The pause before the database is opened again; `None` while it is open.
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
                Ok(request) => self.gather(request),
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
        drop(self.lock);
    }

    /// Takes what waits, up to the size of one transaction.
    fn gather(&mut self, first: Request) {
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(request) = next {
            bytes += request.change.bytes();
            self.state.batch.push(request);
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
        let Some(database) = self.database(look) else {
            return fail(batch, "the store is closed after an error of the disk");
        };
        let free = self.room();
        if !self.shared.writable() && free >= self.how.reserve.0 {
            self.set_failing(false);
        }
        self.refuse_without_room(&mut batch, free);
        let retention = self.how.retention;
        if batch.is_empty() && !(look && free >= ROOM && retention::due(&database, retention)) {
            return;
        }
        let written = catch_unwind(AssertUnwindSafe(|| write(&database, &batch, retention)));
        drop(database);
        match written {
            Ok(Ok((answers, more))) => {
                for (request, answer) in batch.into_iter().zip(answers) {
                    // Whoever asked may have gone.
                    request.answer.map(|to| to.send(answer));
                }
                if more {
                    self.state.look = Some(Instant::now());
                }
            }
            Ok(Err(error)) => self.give_up(batch, &error.to_string()),
            Err(_) => self.give_up(batch, "the database failed in an unforeseen way"),
        }
        if !self.shared.writable() {
            let soon = Instant::now() + AGAIN.1;
            self.state.look = Some(self.state.look.map_or(soon, |look| look.min(soon)));
        }
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
            fail(mem::take(batch), "there is no room on the disk");
        }
    }

    /// The open database. After an error it is opened again, when the pause is over (`now`) or nobody has tried yet.
    fn database(&mut self, now: bool) -> Option<Arc<Database>> {
        if self.state.broken.is_some() && now {
            self.open_again();
        }
        if self.state.broken.is_some() { None } else { self.shared.database() }
    }

    fn open_again(&mut self) {
        open::forget_pages(&self.path);
        let opened = open::existing(&self.path, &self.how.opener);
        let opened = opened.map_err(|error| chain(&error)).and_then(|database| {
            take_back(&database, &self.state.doubtful).map_err(|error| error.to_string()).map(|()| database)
        });
        match opened {
            Ok(database) => {
                tracing::info!("the store is open again");
                self.state.doubtful.clear();
                self.state.broken = None;
                self.shared.set(Some(database));
                self.set_failing(false);
            }
            Err(error) => {
                let pause = self.state.broken.map_or(AGAIN.0, |pause| (pause * 2).min(AGAIN.1));
                tracing::error!("the store cannot be opened again: {error}");
                self.state.broken = Some(pause);
                self.state.look = Some(Instant::now() + pause);
            }
        }
    }

    /// Closes a database that cannot be trusted any more.
    fn give_up(&mut self, batch: Vec<Request>, error: &str) {
        tracing::error!("the store cannot be written: {error}");
        self.set_failing(true);
        self.state.doubtful.extend(batch.iter().filter_map(|request| match request.change {
            Change::Insert { id, .. } => Some(id),
            _ => None,
        }));
        self.shared.set(None);
        self.state.broken = Some(AGAIN.0);
        self.state.look = Some(Instant::now() + AGAIN.0);
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

/// One transaction: all changes and a step of throwing away. Whether there is more to throw away.
#[allow(clippy::type_complexity)]
fn write(
    database: &Database,
    batch: &[Request],
    retention: Retention,
) -> Result<(Vec<Result<Inserted, StoreError>>, bool), Error> {
    let transaction = database.begin_write()?;
    let (answers, more) = {
        let mut tables = Tables::open(&transaction)?;
        let answers =
            batch.iter().map(|request| request.change.apply(&mut tables)).collect::<Result<Vec<_>, Error>>()?;
        (answers, retention::purge(&mut tables, retention, SystemTime::now())?)
    };
    transaction.commit()?;
    Ok((answers, more))
}

fn take_back(database: &Database, doubtful: &[JobId]) -> Result<(), Error> {
    let transaction = database.begin_write()?;
    {
        let mut tables = Tables::open(&transaction)?;
        for id in doubtful {
            undo(&mut tables, *id)?;
        }
    }
    Ok(transaction.commit()?)
}

/// Tells everybody why.
fn fail(batch: Vec<Request>, why: &str) {
    for request in batch {
        // Whoever asked may have gone.
        request.answer.map(|to| to.send(Err(StoreError::Write(why.into()))));
    }
}
