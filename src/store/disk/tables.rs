//! The tables of the file and what their values look like: MessagePack, structures with the names of their fields.
//!
//! A change here, or of a model type that is kept, is a new format (see `upgrade`), other than one more optional field.
//! `tests::format` holds a sample of each format against this.
//!
//! Programs and reports are cut into chunks, since one value lies in one run of pages whose number is a power of two:
//! a report a little over 8 MiB would take 16.

use std::time::{Duration, SystemTime};

use redb::{Error, ReadableTable, Table, TableDefinition, WriteTransaction};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{JobId, Owner, State, Submission};
use crate::store::{Kept, Place, StoreError};

/// Numbers about the whole, by the names below.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Every submission, by the number of its id: a [`Record`].
pub(super) const SUBMISSIONS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("submissions");
/// What has not ended, in the order of arrival.
pub(super) const LINE: TableDefinition<'_, Place, u128> = TableDefinition::new("line");
/// Everything that is kept, in the order of arrival. What a damaged record leaves here names nothing any more.
pub(super) const ARRIVALS: TableDefinition<'_, Place, u128> = TableDefinition::new("arrivals");
/// What is kept of each owner, in the order of arrival. What has no owner is not in it.
pub(super) const OWNED: TableDefinition<'_, (&str, Place), u128> = TableDefinition::new("owned");
/// The job of what has not ended, the report of what has, in chunks.
pub(super) const CHUNKS: TableDefinition<'_, (u128, u32), &[u8]> = TableDefinition::new("chunks");
/// What has ended, by the millisecond of its end, with its size in bytes.
pub(super) const ENDED: TableDefinition<'_, (u64, u128), u64> = TableDefinition::new("ended");
/// Keys of clients: the number of the submission's id, and the key.
pub(super) const KEYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("keys");

/// The format that the file is in.
pub(super) const FORMAT: &str = "format";
/// Submissions ever accepted.
pub(super) const ACCEPTED: &str = "accepted";
/// The last place given away.
pub(super) const PLACE: &str = "place";
/// Bytes of what has ended: reports and all that is kept with them.
pub(super) const KEPT: &str = "kept";
/// Bytes of the program texts and inputs of what has not.
pub(super) const WAITING: &str = "waiting";
/// Workers of the service that had the file last.
pub(super) const WORKERS: &str = "workers";
/// 1 when that service ended in order.
pub(super) const ORDERLY: &str = "orderly";

/// With the key and the page's own notes this just fits into 64 KiB.
const CHUNK: usize = (64 << 10) - 256;

/// A submission without its program or report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) place: Place,
    #[serde(default)]
    pub(super) owner: Option<Owner>,
    pub(super) language: String,
    pub(super) state: State,
    pub(super) queued_at: SystemTime,
    pub(super) started_at: Option<SystemTime>,
    pub(super) completed_at: Option<SystemTime>,
    pub(super) attempts: u8,
    /// The name of the client's key.
    pub(super) key: Option<String>,
    /// The size of the program text and input.
    pub(super) size: u64,
    /// The length of the chunks together.
    pub(super) bytes: u64,
}

impl Record {
    /// As others may see it.
    pub(super) fn kept(self, id: JobId) -> Kept {
        let Self { place, owner, language, state, queued_at, started_at, completed_at, attempts, size, .. } = self;
        let submission = Submission { id, owner, language, state, queued_at, started_at, completed_at, report: None };
        Kept { place, submission, attempts, size }
    }
}

pub(super) fn encode(value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec_named(value).map_err(|error| StoreError::Write(Box::new(error)))
}

pub(super) fn decode<T: DeserializeOwned>(id: JobId, bytes: &[u8]) -> Result<T, StoreError> {
    rmp_serde::from_slice(bytes).map_err(|_| StoreError::Damaged(id))
}

/// Milliseconds since 1970; what lies before counts as then.
pub(super) fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// All tables, open for writing.
pub(super) struct Tables<'t> {
    pub(super) meta: Table<'t, &'static str, u64>,
    pub(super) submissions: Table<'t, u128, &'static [u8]>,
    pub(super) line: Table<'t, Place, u128>,
    pub(super) arrivals: Table<'t, Place, u128>,
    pub(super) owned: Table<'t, (&'static str, Place), u128>,
    pub(super) chunks: Table<'t, (u128, u32), &'static [u8]>,
    pub(super) ended: Table<'t, (u64, u128), u64>,
    pub(super) keys: Table<'t, &'static str, &'static [u8]>,
}

impl<'t> Tables<'t> {
    /// Opens all of them, and makes those that are not there.
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            submissions: transaction.open_table(SUBMISSIONS)?,
            line: transaction.open_table(LINE)?,
            arrivals: transaction.open_table(ARRIVALS)?,
            owned: transaction.open_table(OWNED)?,
            chunks: transaction.open_table(CHUNKS)?,
            ended: transaction.open_table(ENDED)?,
            keys: transaction.open_table(KEYS)?,
        })
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, Error> {
        Ok(self.meta.get(name)?.map_or(0, |value| value.value()))
    }

    /// Adds to a number; `by` may be negative. It stays at zero rather than go below.
    pub(super) fn add(&mut self, name: &str, by: i64) -> Result<u64, Error> {
        let value = self.number(name)?.saturating_add_signed(by);
        self.meta.insert(name, value)?;
        Ok(value)
    }

    pub(super) fn record(&self, id: JobId) -> Result<Option<Result<Record, StoreError>>, Error> {
        Ok(self.submissions.get(id.number())?.map(|bytes| decode(id, bytes.value())))
    }

    /// Puts these bytes in place of what was there.
    pub(super) fn replace(&mut self, id: JobId, bytes: &[u8]) -> Result<(), Error> {
        self.clear(id)?;
        for (number, chunk) in (0..).zip(bytes.chunks(CHUNK)) {
            self.chunks.insert((id.number(), number), chunk)?;
        }
        Ok(())
    }

    pub(super) fn clear(&mut self, id: JobId) -> Result<(), Error> {
        self.chunks.retain_in(chunks_of(id), |_, _| false)?;
        Ok(())
    }
}

/// The keys of all chunks of one submission.
pub(super) fn chunks_of(id: JobId) -> std::ops::RangeInclusive<(u128, u32)> {
    (id.number(), 0)..=(id.number(), u32::MAX)
}
