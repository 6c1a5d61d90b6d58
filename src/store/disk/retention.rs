//! Throws away what ended long ago, and the oldest where all of it takes too much room. A little with each write, so
//! that nobody waits for it. The count of submissions is not touched.

use std::time::{Duration, SystemTime};

use redb::{Error, ReadTransaction, ReadableTable, ReadableTableMetadata};

use super::change::{forget, signed};
use super::tables::{ENDED, KEPT, META, Tables, milliseconds};
use crate::model::{Bytes, JobId};

/// How long results are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Since the end of the job.
    pub age: Duration,
    /// All together; the last one is kept whatever it takes.
    pub bytes: Bytes,
}

/// Results that one transaction throws away at most.
const MOST: usize = 64;

/// Whether a step would throw anything away. What cannot be read is for somebody else to notice.
pub(super) fn due(transaction: &ReadTransaction, retention: Retention) -> bool {
    let look = || -> Result<bool, Error> {
        let kept = transaction.open_table(META)?.get(KEPT)?.map_or(0, |value| value.value());
        let ended = transaction.open_table(ENDED)?;
        let oldest = ended.first()?.map(|(key, _)| key.value().0);
        let old = oldest.is_some_and(|ended| ended < since(retention, SystemTime::now()));
        Ok(old || (kept > retention.bytes.0 && ended.len()? > 1))
    };
    look().unwrap_or(false)
}

/// What ended before this millisecond is too old.
fn since(retention: Retention, now: SystemTime) -> u64 {
    now.checked_sub(retention.age).map_or(0, milliseconds)
}

/// One step. Whether there is more to throw away.
pub(super) fn purge(tables: &mut Tables<'_>, retention: Retention, now: SystemTime) -> Result<bool, Error> {
    let oldest = since(retention, now);
    let mut over = tables.number(KEPT)?.saturating_sub(retention.bytes.0);
    let mut left = tables.ended.len()?;
    let mut gone = Vec::new();
    for entry in tables.ended.iter()? {
        let (key, bytes) = entry?;
        let ((ended, id), bytes) = (key.value(), bytes.value());
        let too_much = over > 0 && left > 1;
        if gone.len() == MOST || !(ended < oldest || too_much) {
            break;
        }
        over = over.saturating_sub(bytes);
        left -= 1;
        gone.push((ended, JobId::of(id), bytes));
    }
    for (ended, id, bytes) in &gone {
        tables.ended.remove((*ended, id.number()))?;
        tables.add(KEPT, -signed(*bytes))?;
        match tables.record(*id)? {
            Some(Ok(record)) => forget(tables, *id, &record)?,
            // A record that cannot be read takes its key along into oblivion.
            _ => {
                tables.submissions.remove(id.number())?;
                tables.clear(*id)?;
            }
        }
    }
    Ok(gone.len() == MOST)
}
