//! The store on disk: one redb file in `store/` of the service's home.
//!
//! One thread writes (`writer`), everybody reads beside it (`read`), also while the disk cannot be written (`unsynced`).
//! One commit is one `fdatasync`: redb's one-phase commit tells a torn transaction from a whole one by checksums.

mod change;
mod open;
mod read;
mod retention;
mod tables;
mod unsynced;
mod upgrade;
mod writer;

use std::future::ready;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;

use self::change::{Change, Ending};
use self::read::Snapshot;
use self::tables::{Record, encode};
use self::writer::{How, Progress, Request, Shared, Writer};
use super::{Answer, Inserted, Inventory, Kept, New, Place, Start, Store, StoreError};
use crate::metrics;
use crate::model::{Bytes, IdempotencyKey, Job, JobId, Owner, Submission};

pub use self::open::OpenError;
pub use self::retention::Retention;

/// The file's name.
const FILE: &str = "submissions.redb";

/// How long a service that was killed may take to let go of the store.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the note of a start may wait for another write to ride with.
const LAZY: Duration = Duration::from_millis(20);

/// The pause before the first attempt to write what could not be written.
const AGAIN: Duration = Duration::from_millis(50);

/// Up to this many bytes are read at once; more in a thread that may block.
const AT_ONCE: u64 = 64 << 10;

/// See the module's documentation.
#[derive(Debug)]
pub struct DiskStore {
    requests: Sender<Vec<Request>>,
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl DiskStore {
    /// Opens the store in this directory, and makes both where there are none. Blocks: a service that had it and was
    /// killed gets some seconds to be gone.
    ///
    /// # Errors
    /// [`OpenError`]; what is there stays as it is.
    pub fn open(directory: &Path, retention: Retention, reserve: Bytes) -> Result<Self, OpenError> {
        Self::open_as(
            directory,
            How { opener: Arc::new(open::plainly), retention, reserve, patience: PATIENCE, lazy: LAZY, again: AGAIN },
        )
    }

    fn open_as(directory: &Path, how: How) -> Result<Self, OpenError> {
        let lock = open::lock(directory, how.patience)?;
        let path = directory.join(FILE);
        let shared = Arc::new(Shared::default());
        let opened = open::open(&path, &how.opener)?;
        open::sound_line(&opened.database, &path)?;
        shared.show(&opened.database).map_err(open::database_error("read", &path))?;
        let (requests, received) = mpsc::channel();
        let (state, shared_too) = (Progress::default(), Arc::clone(&shared));
        let opened = Some(opened);
        let writer = Writer { requests: received, shared: shared_too, path, how, state, opened, lock };
        let started = std::thread::Builder::new().name("store".to_owned()).spawn(|| writer.run());
        let writer = started.map_err(|source| OpenError::File {
            action: "start a thread for",
            path: directory.to_owned(),
            source,
        })?;
        Ok(Self { requests, shared, writer: Mutex::new(Some(writer)) })
    }

    /// What is counted here.
    #[must_use]
    pub fn counts(&self) -> &metrics::Store {
        &self.shared.counts
    }

    /// Hands a change to the writer and waits until it is durable.
    fn write(&self, change: Result<Change, StoreError>) -> Answer<'_, Inserted> {
        let (answer, answered) = oneshot::channel();
        let handed = change.and_then(|change| {
            let request = Request { change, answer: Some(answer) };
            self.requests.send(vec![request]).map_err(|_| gone())
        });
        Box::pin(async move {
            handed?;
            answered.await.unwrap_or_else(|_| Err(gone()))
        })
    }

    fn change(&self, change: Result<Change, StoreError>) -> Answer<'_, ()> {
        let written = self.write(change);
        Box::pin(async move { written.await.map(drop) })
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        let closed = || StoreError::Read("the store is closed after an error of the disk".into());
        self.shared.snapshot().ok_or_else(closed)
    }

    /// Reads what belongs to one submission, in another thread if it is large.
    fn read<T: Send + 'static>(
        &self,
        id: JobId,
        read: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'_, T> {
        let sized = self.snapshot().and_then(|snapshot| Ok((snapshot.size(id)?, snapshot)));
        match sized {
            Err(error) => Box::pin(ready(Err(error))),
            Ok((size, snapshot)) if size <= AT_ONCE => Box::pin(ready(read(&snapshot))),
            Ok((_, snapshot)) => Box::pin(async move {
                let read = tokio::task::spawn_blocking(move || read(&snapshot)).await;
                read.unwrap_or_else(|error| Err(StoreError::Read(Box::new(error))))
            }),
        }
    }
}

/// A new submission as the writer keeps it.
fn insertion(new: New) -> Result<Change, StoreError> {
    let New { submission, job, key } = new;
    let Submission { id, owner, language, state, queued_at, started_at, completed_at, .. } = submission;
    let name = key.as_ref().map(|key| key.name.clone());
    // Its place and the length of what is written are for the writer to fill in.
    let record = Record {
        place: 0,
        owner,
        language,
        state,
        queued_at,
        started_at,
        completed_at,
        attempts: 0,
        key: name,
        size: job.size(),
        bytes: 0,
    };
    encode(&job).map(|job| Change::Insert { id, record, job, key })
}

fn gone() -> StoreError {
    StoreError::Write("the writer of the store has ended".into())
}

impl Store for DiskStore {
    fn insert(&self, new: New) -> Answer<'_, Inserted> {
        self.write(insertion(new))
    }

    /// What is handed to the writer in one piece becomes one transaction.
    fn insert_all(&self, all: Vec<New>) -> Answer<'_, Vec<Result<Inserted, StoreError>>> {
        let (mut requests, mut answers) = (Vec::with_capacity(all.len()), Vec::with_capacity(all.len()));
        for new in all {
            answers.push(insertion(new).map(|change| {
                let (answer, answered) = oneshot::channel();
                requests.push(Request { change, answer: Some(answer) });
                answered
            }));
        }
        let handed = if requests.is_empty() { Ok(()) } else { self.requests.send(requests).map_err(|_| gone()) };
        Box::pin(async move {
            handed?;
            let mut all = Vec::with_capacity(answers.len());
            for answer in answers {
                all.push(match answer {
                    Ok(answered) => answered.await.unwrap_or_else(|_| Err(gone())),
                    Err(error) => Err(error),
                });
            }
            Ok(all)
        })
    }

    fn started(&self, start: Start, lazy: bool) -> Answer<'_, ()> {
        if !lazy {
            return self.change(Ok(Change::Start(start)));
        }
        // A writer that has ended is noticed by whoever needs an answer.
        let _ = self.requests.send(vec![Request { change: Change::Start(start), answer: None }]);
        Box::pin(ready(Ok(())))
    }

    fn ended(&self, submission: Arc<Submission>) -> Answer<'_, ()> {
        let Submission { id, state, started_at, completed_at, queued_at, report, .. } = &*submission;
        let completed_at = completed_at.unwrap_or(*queued_at);
        let ending = Ending { state: *state, started_at: *started_at, completed_at };
        let report = report.as_ref().ok_or(StoreError::Missing(*id)).and_then(encode);
        self.change(report.map(|report| Change::End { id: *id, ending, report }))
    }

    fn put_back(&self, id: JobId, attempts: u8) -> Answer<'_, ()> {
        self.change(Ok(Change::PutBack { id, attempts }))
    }

    fn job(&self, id: JobId) -> Answer<'_, Job> {
        self.read(id, move |snapshot| snapshot.job(id))
    }

    fn get(&self, id: JobId) -> Answer<'_, Option<Arc<Submission>>> {
        self.read(id, move |snapshot| Ok(snapshot.get(id)?.map(Arc::new)))
    }

    fn peek(&self, id: JobId) -> Answer<'_, Option<Kept>> {
        Box::pin(ready(self.snapshot().and_then(|snapshot| snapshot.peek(id))))
    }

    fn find(&self, key: IdempotencyKey) -> Answer<'_, Option<Inserted>> {
        Box::pin(ready(self.snapshot().and_then(|snapshot| snapshot.find(&key))))
    }

    fn line(&self, after: Place, most: usize) -> Answer<'_, Vec<Kept>> {
        Box::pin(ready(self.snapshot().and_then(|snapshot| snapshot.line(after, most))))
    }

    fn recent(&self, owner: Option<Owner>, before: Place, most: usize) -> Answer<'_, Vec<Kept>> {
        Box::pin(ready(self.snapshot().and_then(|snapshot| snapshot.recent(owner.as_ref(), before, most))))
    }

    fn inventory(&self) -> Answer<'_, Inventory> {
        Box::pin(ready(self.snapshot().and_then(|snapshot| snapshot.inventory())))
    }

    fn begin(&self, workers: usize) -> Answer<'_, ()> {
        self.change(Ok(Change::Begin { workers }))
    }

    fn close(&self) -> Answer<'_, ()> {
        let closed = self.change(Ok(Change::Close));
        Box::pin(async move {
            closed.await?;
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(writer) = writer {
                // It has nothing left to do but close the file.
                let _ = tokio::task::spawn_blocking(move || writer.join()).await;
            }
            Ok(())
        })
    }

    fn writable(&self) -> bool {
        self.shared.writable()
    }
}

#[cfg(test)]
pub(crate) mod tests;
