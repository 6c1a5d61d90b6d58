//! Where submissions are kept: the trait, one store on disk and one in memory.
//!
//! A store keeps what it is told and decides nothing; only the ledger changes a state. Whether a submission waits
//! in the bounded queue (`queued`) or before it (`pending`) follows from the order alone and is not stored.

pub mod disk;
pub mod memory;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use thiserror::Error;

use crate::model::{IdempotencyKey, Job, JobId, Owner, Submission};

/// What a store answers, once it has done it. Boxed, so that the ledger can hold any store.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps submissions. An answer of a writing call means that it is as durable as this store can make it. The call itself
/// hands over what is to be written: several answers can be asked for first and waited for afterwards.
pub trait Store: Debug + Send + Sync + 'static {
    /// Keeps a new submission and its job, behind all others, unless its key is known.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the id is there already, [`StoreError::Write`] when nothing was kept.
    fn insert(&self, new: New) -> Answer<'_, Inserted>;

    /// Keeps several, in this order, with as few writes as it can; each is answered as [`Store::insert`] would.
    ///
    /// # Errors
    /// [`StoreError::Write`] when none was kept.
    fn insert_all(&self, all: Vec<New>) -> Answer<'_, Vec<Result<Inserted, StoreError>>> {
        Box::pin(async move {
            let mut answers = Vec::with_capacity(all.len());
            for new in all {
                answers.push(self.insert(new).await);
            }
            Ok(answers)
        })
    }

    /// Notes that a worker has it. A `lazy` note is answered at once and becomes durable with the next write or a
    /// moment later; [`Store::ended`] never waits for it.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Write`]; none for a lazy note.
    fn started(&self, start: Start, lazy: bool) -> Answer<'_, ()>;

    /// Replaces the submission by its ended form, report and all in one step; the job is not needed any more. Of several
    /// endings the first counts.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Write`].
    fn ended(&self, submission: Arc<Submission>) -> Answer<'_, ()>;

    /// Makes a submission that has not ended wait again, at its old place, after so many attempts.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Write`].
    fn put_back(&self, id: JobId, attempts: u8) -> Answer<'_, ()>;

    /// The job of a submission that has not ended.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Damaged`], [`StoreError::Read`].
    fn job(&self, id: JobId) -> Answer<'_, Job>;

    /// The submission as it was last kept.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Read`].
    fn get(&self, id: JobId) -> Answer<'_, Option<Arc<Submission>>>;

    /// The same without the report, which may be large.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Read`].
    fn peek(&self, id: JobId) -> Answer<'_, Option<Kept>>;

    /// The submission that came with this key.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    fn find(&self, key: IdempotencyKey) -> Answer<'_, Option<Inserted>>;

    /// The first submissions behind this place that have not ended, oldest first, the started ones among them.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Read`].
    fn line(&self, after: Place, most: usize) -> Answer<'_, Vec<Kept>>;

    /// The last submissions of an owner, or of everybody without one, that came before this place, newest first, ended or
    /// not, without their reports.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], [`StoreError::Read`].
    fn recent(&self, owner: Option<Owner>, before: Place, most: usize) -> Answer<'_, Vec<Kept>>;

    /// What the service before this one left.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    fn inventory(&self) -> Answer<'_, Inventory>;

    /// Notes that a service with so many workers begins; until [`Store::close`] it counts as cut off.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    fn begin(&self, workers: usize) -> Answer<'_, ()>;

    /// Writes what is still in hand and that the service ended in order. Nothing may follow.
    ///
    /// # Errors
    /// [`StoreError::Write`].
    fn close(&self) -> Answer<'_, ()>;

    /// Whether the last write worked, or would work now.
    fn writable(&self) -> bool;
}

/// A place in the order of arrival; the first is 1.
pub type Place = u64;

/// What is to be kept of a new submission.
#[derive(Clone, Debug)]
pub struct New {
    /// As others may see it.
    pub submission: Submission,
    /// What is to be run.
    pub job: Job,
    /// Whose repetition is not to be another submission.
    pub key: Option<IdempotencyKey>,
}

/// What became of a new submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is kept.
    New,
    /// Its key and body are those of this one.
    Known(JobId),
    /// Its key is that of another body.
    Clash,
}

/// A worker takes a submission.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Which.
    pub id: JobId,
    /// When.
    pub at: SystemTime,
    /// Which attempt this is, from 1.
    pub attempt: u8,
}

/// A submission without its job and its report.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its place in the order.
    pub place: Place,
    /// Itself; with the time of its start if a worker had it.
    pub submission: Submission,
    /// How often a worker had it.
    pub attempts: u8,
    /// The size of its program text and input.
    pub size: u64,
}

/// What is in a store when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// Submissions ever accepted.
    pub accepted: u64,
    /// Those that have not ended.
    pub unfinished: u64,
    /// The size of their program texts and inputs.
    pub size: u64,
    /// Workers of the service that had it last.
    pub workers: usize,
    /// Whether that service ended in order.
    pub orderly: bool,
}

/// What a store could not do.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It is kept already.
    #[error("submission {0} is already stored")]
    Duplicate(JobId),
    /// It is not kept, or has no job any more.
    #[error("submission {0} is not stored")]
    Missing(JobId),
    /// What is kept of it cannot be understood.
    #[error("what is stored of submission {0} is damaged")]
    Damaged(JobId),
    /// Reading failed; it may work later.
    #[error("reading from the store failed")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Writing failed; nothing was changed.
    #[error("writing to the store failed")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
}
