//! Reading, beside the writer: every answer comes from the last transaction that is known to be durable. The writer opens
//! it for reading and hands it out until the next one is: so whatever becomes of that one, redb leaves these pages alone.

use redb::{Database, Error, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableError};
use serde::de::DeserializeOwned;

use super::change::known;
use super::tables::{
    ACCEPTED, ARRIVALS, CHUNKS, KEYS, LINE, META, ORDERLY, OWNED, Record, SUBMISSIONS, WAITING, WORKERS, chunks_of,
    decode,
};
use crate::model::{IdempotencyKey, Job, JobId, Owner, Submission};
use crate::store::{Inserted, Inventory, Kept, Place, StoreError};

/// One state of the file.
#[derive(Debug)]
pub(super) struct Snapshot(pub(super) ReadTransaction);

impl Snapshot {
    pub(super) fn of(database: &Database) -> Result<Self, Error> {
        Ok(Self(database.begin_read()?))
    }

    fn record(&self, id: JobId) -> Result<Option<Record>, StoreError> {
        let bytes = self.0.open_table(SUBMISSIONS).map_err(read_any)?.get(id.number()).map_err(read_any)?;
        bytes.map(|bytes| decode(id, bytes.value())).transpose()
    }

    /// A record that can be decoded and its chunks, which must be as long as it says.
    fn whole<T: DeserializeOwned>(&self, id: JobId, bytes: u64) -> Result<T, StoreError> {
        let table = self.0.open_table(CHUNKS).map_err(read_any)?;
        let mut all = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
        for chunk in table.range(chunks_of(id)).map_err(read_any)? {
            all.extend_from_slice(chunk.map_err(read_any)?.1.value());
        }
        if all.len() as u64 == bytes { decode(id, &all) } else { Err(StoreError::Damaged(id)) }
    }

    /// How long what belongs to it is, and whether there is a job to run.
    pub(super) fn size(&self, id: JobId) -> Result<u64, StoreError> {
        Ok(self.record(id)?.map_or(0, |record| record.bytes))
    }

    pub(super) fn job(&self, id: JobId) -> Result<Job, StoreError> {
        match self.record(id)? {
            Some(record) if !record.state.ended() => self.whole(id, record.bytes),
            _ => Err(StoreError::Missing(id)),
        }
    }

    pub(super) fn get(&self, id: JobId) -> Result<Option<Submission>, StoreError> {
        let Some(record) = self.record(id)? else { return Ok(None) };
        let report = if record.state.ended() { Some(self.whole(id, record.bytes)?) } else { None };
        Ok(Some(Submission { report, ..record.kept(id).submission }))
    }

    pub(super) fn peek(&self, id: JobId) -> Result<Option<Kept>, StoreError> {
        Ok(self.record(id)?.map(|record| record.kept(id)))
    }

    pub(super) fn find(&self, key: &IdempotencyKey) -> Result<Option<Inserted>, StoreError> {
        let table = self.0.open_table(KEYS).map_err(read_any)?;
        let found = table.get(key.name.as_str()).map_err(read_any)?;
        found.map(|value| known(JobId::of(0), value.value(), key)).transpose()
    }

    pub(super) fn line(&self, after: Place, most: usize) -> Result<Vec<Kept>, StoreError> {
        let table = self.0.open_table(LINE).map_err(read_any)?;
        let mut line = Vec::new();
        for entry in table.range(after + 1..).map_err(read_any)?.take(most) {
            let id = JobId::of(entry.map_err(read_any)?.1.value());
            line.push(self.record(id)?.ok_or(StoreError::Damaged(id))?.kept(id));
        }
        Ok(line)
    }

    /// The first of what has not ended whose record cannot be understood.
    pub(super) fn damaged(&self) -> Result<Option<JobId>, Error> {
        let (line, records) = (self.0.open_table(LINE)?, self.0.open_table(SUBMISSIONS)?);
        for entry in line.iter()? {
            let id = JobId::of(entry?.1.value());
            let sound = |bytes: &[u8]| decode::<Record>(id, bytes).is_ok();
            if !records.get(id.number())?.is_some_and(|bytes| sound(bytes.value())) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// What lies in the tables of arrivals and of owners without a record, or with one of another place, names nothing any
    /// more.
    pub(super) fn recent(&self, owner: Option<&Owner>, before: Place, most: usize) -> Result<Vec<Kept>, StoreError> {
        let mut found = Vec::new();
        let mut look = |place: Place, id: u128| -> Result<bool, StoreError> {
            let id = JobId::of(id);
            match self.record(id) {
                Ok(Some(record)) if record.place == place => found.push(record.kept(id)),
                Ok(_) | Err(StoreError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
            Ok(found.len() < most)
        };
        if let Some(owner) = owner {
            let table = match self.0.open_table(OWNED) {
                Err(TableError::TableDoesNotExist(_)) => return Ok(found),
                table => table.map_err(read_any)?,
            };
            for entry in table.range((owner.as_str(), 0)..(owner.as_str(), before)).map_err(read_any)?.rev() {
                let (key, id) = entry.map_err(read_any)?;
                if !look(key.value().1, id.value())? {
                    break;
                }
            }
        } else {
            let table = self.0.open_table(ARRIVALS).map_err(read_any)?;
            for entry in table.range(..before).map_err(read_any)?.rev() {
                let (place, id) = entry.map_err(read_any)?;
                if !look(place.value(), id.value())? {
                    break;
                }
            }
        }
        Ok(found)
    }

    pub(super) fn inventory(&self) -> Result<Inventory, StoreError> {
        let meta = self.0.open_table(META).map_err(read_any)?;
        let number = |name: &str| Ok(meta.get(name).map_err(read_any)?.map_or(0, |value| value.value()));
        let unfinished = self.0.open_table(LINE).map_err(read_any)?.len().map_err(read_any)?;
        let workers = usize::try_from(number(WORKERS)?).unwrap_or(usize::MAX);
        let (accepted, size, orderly) = (number(ACCEPTED)?, number(WAITING)?, number(ORDERLY)? == 1);
        Ok(Inventory { accepted, unfinished, size, workers, orderly })
    }
}

fn read(error: Error) -> StoreError {
    StoreError::Read(Box::new(error))
}

fn read_any(error: impl Into<Error>) -> StoreError {
    read(error.into())
}
