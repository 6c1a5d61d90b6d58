//! What one request changes in the tables. Each either changes all that it has to or, when it is refused, nothing.

use std::time::SystemTime;

use redb::{Error, ReadableTable};

use super::tables::{ACCEPTED, KEPT, ORDERLY, PLACE, Record, Tables, WAITING, WORKERS, decode, milliseconds};
use crate::model::{IdempotencyKey, JobId, State};
use crate::store::{Inserted, Start, StoreError};

/// A change, its values encoded already: that is done where it was asked for, not by the one writer.
#[derive(Debug)]
pub(super) enum Change {
    Insert { id: JobId, record: Record, job: Vec<u8>, key: Option<IdempotencyKey> },
    Start(Start),
    End { id: JobId, ending: Ending, report: Vec<u8> },
    PutBack { id: JobId, attempts: u8 },
    Begin { workers: usize },
    Close,
}

/// What an ending changes in the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) state: State,
    pub(super) started_at: Option<SystemTime>,
    pub(super) completed_at: SystemTime,
}

/// The inner error refuses the one change, the outer one breaks the transaction.
type Applied<T = Inserted> = Result<Result<T, StoreError>, Error>;

impl Change {
    /// Roughly what it takes on disk.
    pub(super) fn bytes(&self) -> u64 {
        let body = match self {
            Self::Insert { job, .. } => job.len(),
            Self::End { report, .. } => report.len(),
            _ => 0,
        };
        body as u64 + 256
    }

    pub(super) fn apply(&self, tables: &mut Tables<'_>) -> Applied {
        let done = match self {
            Self::Insert { id, record, job, key } => return insert(tables, *id, record, job, key.as_ref()),
            Self::Start(start) => change(tables, start.id, |record| {
                record.state = State::Running;
                record.started_at = Some(start.at);
                record.attempts = start.attempt;
            })?,
            Self::PutBack { id, attempts } => change(tables, *id, |record| {
                record.state = State::Pending;
                record.started_at = None;
                record.attempts = *attempts;
            })?,
            Self::End { id, ending, report } => end(tables, *id, ending, report)?,
            Self::Begin { workers } => {
                tables.meta.insert(WORKERS, *workers as u64)?;
                tables.meta.insert(ORDERLY, 0)?;
                Ok(())
            }
            Self::Close => {
                tables.meta.insert(ORDERLY, 1)?;
                Ok(())
            }
        };
        Ok(done.map(|()| Inserted::New))
    }
}

fn insert(tables: &mut Tables<'_>, id: JobId, record: &Record, job: &[u8], key: Option<&IdempotencyKey>) -> Applied {
    if let Some(key) = key
        && let Some(found) = tables.keys.get(key.name.as_str())?
    {
        return Ok(known(id, found.value(), key));
    }
    if tables.submissions.get(id.number())?.is_some() {
        return Ok(Err(StoreError::Duplicate(id)));
    }
    let place = tables.number(PLACE)? + 1;
    let record = Record { place, bytes: job.len() as u64, ..record.clone() };
    let encoded = match super::tables::encode(&record) {
        Ok(encoded) => encoded,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(key) = key {
        let value = match super::tables::encode(&(id.number(), key)) {
            Ok(value) => value,
            Err(error) => return Ok(Err(error)),
        };
        tables.keys.insert(key.name.as_str(), value.as_slice())?;
    }
    tables.submissions.insert(id.number(), encoded.as_slice())?;
    tables.line.insert(place, id.number())?;
    tables.arrivals.insert(place, id.number())?;
    if let Some(owner) = &record.owner {
        tables.owned.insert((owner.as_str(), place), id.number())?;
    }
    tables.replace(id, job)?;
    tables.add(PLACE, 1)?;
    tables.add(ACCEPTED, 1)?;
    tables.add(WAITING, signed(record.size))?;
    Ok(Ok(Inserted::New))
}

/// What a key that is there already says of a submission that comes with it.
pub(super) fn known(id: JobId, found: &[u8], key: &IdempotencyKey) -> Result<Inserted, StoreError> {
    let (other, kept): (u128, IdempotencyKey) = decode(id, found)?;
    Ok(if kept == *key { Inserted::Known(JobId::of(other)) } else { Inserted::Clash })
}

/// Changes a record that has not ended; one that has stays as it is.
fn change(tables: &mut Tables<'_>, id: JobId, change: impl FnOnce(&mut Record)) -> Applied<()> {
    let mut record = match unended(tables, id)? {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(Ok(())),
        Err(error) => return Ok(Err(error)),
    };
    change(&mut record);
    save(tables, id, &record)
}

fn unended(tables: &Tables<'_>, id: JobId) -> Applied<Option<Record>> {
    Ok(match tables.record(id)? {
        None => Err(StoreError::Missing(id)),
        Some(record) => record.map(|record| Some(record).filter(|record| !record.state.ended())),
    })
}

fn save(tables: &mut Tables<'_>, id: JobId, record: &Record) -> Applied<()> {
    match super::tables::encode(record) {
        Ok(bytes) => tables.submissions.insert(id.number(), bytes.as_slice()).map(drop)?,
        Err(error) => return Ok(Err(error)),
    }
    Ok(Ok(()))
}

fn end(tables: &mut Tables<'_>, id: JobId, ending: &Ending, report: &[u8]) -> Applied<()> {
    let record = match unended(tables, id)? {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(Ok(())),
        Err(error) => return Ok(Err(error)),
    };
    let Ending { state, started_at, completed_at } = *ending;
    let (place, waited, bytes) = (record.place, record.size, report.len() as u64);
    let record = Record { state, started_at, completed_at: Some(completed_at), bytes, ..record };
    let encoded = match super::tables::encode(&record) {
        Ok(encoded) => encoded,
        Err(error) => return Ok(Err(error)),
    };
    tables.submissions.insert(id.number(), encoded.as_slice())?;
    // What counts is noted beside it, so that it is taken off again as it was put on, also where an older version noted less.
    let bytes = bytes + beside(encoded.len(), &record);
    tables.line.remove(place)?;
    tables.replace(id, report)?;
    tables.ended.insert((milliseconds(completed_at), id.number()), bytes)?;
    tables.add(WAITING, -signed(waited))?;
    tables.add(KEPT, signed(bytes))?;
    Ok(Ok(()))
}

/// Roughly what an ended submission takes on disk beside its report: its record of this length, its client's key, which is in
/// the table of keys twice more, and its places in the other tables.
pub(super) fn beside(record: usize, kept: &Record) -> u64 {
    (record + 2 * kept.key.as_ref().map_or(0, String::len)) as u64 + 256
}

/// Takes back what may or may not have been written while its submitter was told that it was not.
pub(super) fn undo(tables: &mut Tables<'_>, id: JobId) -> Result<(), Error> {
    if let Some(Ok(record)) = tables.record(id)?
        && !record.state.ended()
    {
        tables.line.remove(record.place)?;
        tables.add(WAITING, -signed(record.size))?;
        tables.add(ACCEPTED, -1)?;
        forget(tables, id, &record)?;
    }
    Ok(())
}

/// Removes a submission with all that hangs on it, other than its entry in `line` or `ended`.
pub(super) fn forget(tables: &mut Tables<'_>, id: JobId, record: &Record) -> Result<(), Error> {
    if let Some(key) = &record.key {
        tables.keys.remove(key.as_str())?;
    }
    tables.submissions.remove(id.number())?;
    tables.arrivals.remove(record.place)?;
    if let Some(owner) = &record.owner {
        tables.owned.remove((owner.as_str(), record.place))?;
    }
    tables.clear(id)
}

/// Sizes of what lay in memory.
pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
