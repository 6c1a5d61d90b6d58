//! The format of the file, and how an older one becomes this one.
//!
//! Whoever changes what `tables` says adds a step to [`STEPS`] that turns the format before into the new one. All steps
//! and the new number are one transaction: a file is never between two formats.

use redb::{Database, Error, ReadableDatabase, ReadableTable, TableError, WriteTransaction};

use super::tables::{ARRIVALS, FORMAT, META, Record, SUBMISSIONS, Tables, decode};
use crate::model::JobId;

/// Turns one format into the next.
pub(super) type Step = fn(&WriteTransaction) -> Result<(), Error>;

/// The step at index `n` turns format `n + 1` into format `n + 2`.
pub(super) const STEPS: &[Step] = &[arrivals];

/// Format 2: jobs and reports say more, each of it optional, but a service that does not know it must not run such a job;
/// and everything that is kept can be listed in the order of arrival. A record that cannot be read is not listed.
fn arrivals(transaction: &WriteTransaction) -> Result<(), Error> {
    let (submissions, mut arrivals) = (transaction.open_table(SUBMISSIONS)?, transaction.open_table(ARRIVALS)?);
    for entry in submissions.iter()? {
        let (id, record) = entry?;
        if let Ok(record) = decode::<Record>(JobId::of(id.value()), record.value()) {
            arrivals.insert(record.place, id.value())?;
        }
    }
    Ok(())
}

/// What the file says of its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// None of ours, or damaged.
    None,
    /// This.
    Is(u64),
}

/// The format that these steps lead to.
pub(super) const fn current(steps: &[Step]) -> u64 {
    steps.len() as u64 + 1
}

/// Reads the format.
pub(super) fn format(database: &Database) -> Result<Format, Error> {
    let meta = match database.begin_read()?.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Format::None),
        Err(error) => return Err(error.into()),
    };
    Ok(meta.get(FORMAT)?.map_or(Format::None, |value| Format::Is(value.value())))
}

/// Makes the tables of a new file.
pub(super) fn begin(database: &Database) -> Result<(), Error> {
    let transaction = database.begin_write()?;
    Tables::open(&transaction)?.meta.insert(FORMAT, current(STEPS))?;
    Ok(transaction.commit()?)
}

/// Brings a file of format `from`, which is not newer, to the one that the steps lead to.
pub(super) fn upgrade(database: &Database, from: u64, steps: &[Step]) -> Result<(), Error> {
    let left = usize::try_from(from.saturating_sub(1)).ok().and_then(|done| steps.get(done..)).unwrap_or_default();
    if left.is_empty() {
        return Ok(());
    }
    let transaction = database.begin_write()?;
    for step in left {
        step(&transaction)?;
    }
    transaction.open_table(META)?.insert(FORMAT, current(steps))?;
    Ok(transaction.commit()?)
}
