//! Where submissions are kept: the trait, and one that keeps them in memory.
//!
//! A store keeps what it is told and decides nothing; only the ledger changes a state. Whether a submission waits
//! in the bounded queue (`queued`) or before it (`pending`) follows from the order alone and is not stored.

pub mod memory;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use thiserror::Error;

use crate::model::{Job, JobId, Submission};

/// What a store answers, once it has done it. Boxed, so that the ledger can hold any store.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Keeps submissions. An answer of a writing call means that it is as durable as this store can make it.
pub trait Store: Debug + Send + Sync + 'static {
    /// Keeps a new submission and its job, behind all others.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the id is there already, [`StoreError::Write`] when nothing was kept.
    fn insert(&self, submission: Submission, job: Job) -> Answer<'_, ()>;

    /// Notes that a worker has it since `at`.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Write`].
    fn started(&self, id: JobId, at: SystemTime) -> Answer<'_, ()>;

    /// Replaces the submission by its ended form, report and all in one step; the job is not needed any more.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Write`].
    fn ended(&self, submission: Arc<Submission>) -> Answer<'_, ()>;

    /// The job of a submission that has not ended.
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Read`].
    fn job(&self, id: JobId) -> Answer<'_, Job>;

    /// The submission as it was last kept.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    fn get(&self, id: JobId) -> Answer<'_, Option<Arc<Submission>>>;

    /// Every submission that has not ended, oldest first, the started ones among them.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    fn unfinished(&self) -> Answer<'_, Vec<Submission>>;

    /// How many were ever accepted.
    ///
    /// # Errors
    /// [`StoreError::Read`].
    fn count(&self) -> Answer<'_, u64>;
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
    /// Reading failed.
    #[error("reading from the store failed")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Writing failed; nothing was changed.
    #[error("writing to the store failed")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
}
