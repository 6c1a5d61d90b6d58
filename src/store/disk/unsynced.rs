//! The file beneath the database, which goes on when it cannot be written.
//!
//! redb takes a failed write for the end of the database: nothing can be read from it afterwards. So it is not told of one.
//! What was written since the last sync is kept in memory. When a write or a sync fails, what follows goes there alone, and
//! whoever reads sees it on top of the file; [`Unsynced::again`] writes all of it once more, in order, and syncs. That it
//! begins with what had been written well is necessary: after a failed sync the kernel takes pages for clean that never
//! reached the disk (fsync(2)).
//!
//! Whoever commits looks at [`Unsynced::failure`] afterwards: until that is nothing, the transaction is not to be shown.
//! An error of reading goes to redb as it is.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{BackendError, StorageBackend};

/// See the module's documentation. Clones are the same file.
#[derive(Clone, Debug)]
pub(super) struct Unsynced(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: Box<dyn StorageBackend>,
    log: RwLock<Log>,
    /// Whether the log has a failure: what is asked first, so that readers of a sound file take no lock.
    failing: AtomicBool,
    unreadable: AtomicBool,
}

/// What was done since the last sync.
#[derive(Debug, Default)]
struct Log {
    done: Vec<Done>,
    failure: Option<io::Error>,
}

#[derive(Debug)]
enum Done {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Unsynced {
    pub(super) fn new(file: Box<dyn StorageBackend>) -> Self {
        let (failing, unreadable) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(Inner { file, log: RwLock::default(), failing, unreadable }))
    }

    /// Why what was written last is not on the disk, if it is not.
    pub(super) fn failure(&self) -> Option<io::Error> {
        let log = self.0.log.read().unwrap_or_else(PoisonError::into_inner);
        log.failure.as_ref().map(|error| io::Error::new(error.kind(), error.to_string()))
    }

    /// Whether a read has failed. The database does not answer any more then, and has to be opened again.
    pub(super) fn unreadable(&self) -> bool {
        self.0.unreadable.load(Ordering::Acquire)
    }

    /// Writes everything again that may not be on the disk, and syncs. Does nothing where nothing has failed.
    ///
    /// # Errors
    /// Of the disk; it may be tried again.
    pub(super) fn again(&self) -> io::Result<()> {
        let log = self.0.log.read().unwrap_or_else(PoisonError::into_inner);
        if log.failure.is_none() {
            return Ok(());
        }
        for done in &log.done {
            match done {
                Done::Write(offset, data) => self.0.file.write(*offset, data)?,
                Done::Length(length) => self.0.file.set_len(*length)?,
            }
        }
        self.0.file.sync_data()?;
        // Nobody else changes the log meanwhile: whoever writes to the database is the one who calls this.
        drop(log);
        *self.0.log.write().unwrap_or_else(PoisonError::into_inner) = Log::default();
        self.0.failing.store(false, Ordering::Release);
        Ok(())
    }

    fn failing(&self) -> bool {
        self.0.failing.load(Ordering::Acquire)
    }

    /// Notes what is done and, unless something has failed before, does it.
    fn carry_out(&self, done: Done) {
        let mut log = self.0.log.write().unwrap_or_else(PoisonError::into_inner);
        if log.failure.is_none() {
            let carried_out = match &done {
                Done::Write(offset, data) => self.0.file.write(*offset, data),
                Done::Length(length) => self.0.file.set_len(*length),
            };
            if let Err(error) = carried_out {
                self.fail(&mut log, error);
            }
        }
        log.done.push(done);
    }

    fn fail(&self, log: &mut Log, error: io::Error) {
        log.failure = Some(error);
        self.0.failing.store(true, Ordering::Release);
    }

    fn length(&self, log: &Log) -> io::Result<u64> {
        let last = log.done.iter().rev().find_map(|done| match done {
            Done::Length(length) => Some(*length),
            Done::Write(..) => None,
        });
        last.map_or_else(|| self.0.file.len(), Ok)
    }

    /// Reads the file with the log on top of it.
    fn read_over(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let log = self.0.log.read().unwrap_or_else(PoisonError::into_inner);
        let end = offset.saturating_add(out.len() as u64);
        if end > self.length(&log)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The file may be shorter than it was to be.
        let there = within(out.len(), self.0.file.len()?.saturating_sub(offset));
        let (found, beyond) = out.split_at_mut(there);
        if !found.is_empty() {
            self.0.file.read(offset, found)?;
        }
        beyond.fill(0);
        for done in &log.done {
            match done {
                Done::Write(at, data) => {
                    let (first, last) = ((*at).max(offset), (at + data.len() as u64).min(end));
                    if first < last {
                        let length = within(out.len(), last - first);
                        let (to, from) = (within(out.len(), first - offset), within(data.len(), first - at));
                        out[to..to + length].copy_from_slice(&data[from..from + length]);
                    }
                }
                // What a file is cut off and made longer by again is zero.
                Done::Length(length) => {
                    let kept = within(out.len(), length.saturating_sub(offset));
                    out[kept..].fill(0);
                }
            }
        }
        Ok(())
    }
}

/// A length in a buffer of so many bytes.
fn within(most: usize, length: u64) -> usize {
    usize::try_from(length).unwrap_or(most).min(most)
}

impl StorageBackend for Unsynced {
    fn len(&self) -> io::Result<u64> {
        if self.failing() {
            return self.length(&self.0.log.read().unwrap_or_else(PoisonError::into_inner));
        }
        self.0.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let read = if self.failing() { self.read_over(offset, out) } else { self.0.file.read(offset, out) };
        if read.is_err() {
            self.0.unreadable.store(true, Ordering::Release);
        }
        read
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.carry_out(Done::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut log = self.0.log.write().unwrap_or_else(PoisonError::into_inner);
        if log.failure.is_none() {
            match self.0.file.sync_data() {
                Ok(()) => log.done = Vec::new(),
                Err(error) => self.fail(&mut log, error),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.carry_out(Done::Write(offset, data.to_vec()));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    /// A file in memory that fails when its time has come, having written half.
    #[derive(Clone, Debug, Default)]
    struct Memory(Arc<Content>);

    #[derive(Debug, Default)]
    struct Content {
        bytes: Mutex<Vec<u8>>,
        /// Operations that still work.
        left: Mutex<usize>,
    }

    impl Memory {
        fn good_for(operations: usize) -> Self {
            let memory = Self::default();
            memory.become_good_for(operations);
            memory
        }

        fn become_good_for(&self, operations: usize) {
            *self.0.left.lock().unwrap() = operations;
        }

        fn works(&self) -> bool {
            let mut left = self.0.left.lock().unwrap();
            let works = *left > 0;
            *left = left.saturating_sub(1);
            works
        }
    }

    fn broken() -> io::Error {
        io::Error::other("the disk is broken")
    }

    impl StorageBackend for Memory {
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.bytes.lock().unwrap().len() as u64)
        }
        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            let (bytes, offset) = (self.0.bytes.lock().unwrap(), usize::try_from(offset).unwrap());
            let found = bytes.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(found);
            Ok(())
        }
        fn set_len(&self, len: u64) -> io::Result<()> {
            if !self.works() {
                return Err(broken());
            }
            self.0.bytes.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
            Ok(())
        }
        fn sync_data(&self) -> io::Result<()> {
            if self.works() { Ok(()) } else { Err(broken()) }
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            let works = self.works();
            let data = if works { data } else { &data[..data.len() / 2] };
            let (mut bytes, offset) = (self.0.bytes.lock().unwrap(), usize::try_from(offset).unwrap());
            let end = (offset + data.len()).max(bytes.len());
            bytes.resize(end, 0);
            bytes[offset..offset + data.len()].copy_from_slice(data);
            if works { Ok(()) } else { Err(broken()) }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Write(u16, Vec<u8>),
        Length(u16),
        Sync,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let write =
            (0..400_u16, proptest::collection::vec(any::<u8>(), 1..90)).prop_map(|(at, data)| Step::Write(at, data));
        let step = prop_oneof![4 => write, 1 => (0..600_u16).prop_map(Step::Length), 1 => Just(Step::Sync)];
        proptest::collection::vec(step, 1..40)
    }

    fn content(disk: &impl StorageBackend) -> Vec<u8> {
        let mut all = vec![0xee; usize::try_from(disk.len().unwrap()).unwrap()];
        // In pieces, so that they begin and end within what was written.
        for (n, piece) in all.chunks_mut(37).enumerate() {
            disk.read(n as u64 * 37, piece).unwrap();
        }
        all
    }

    proptest! {
        /// Whichever operation fails, readers see what was written, and once the disk works again so does the file.
        #[test]
        fn a_file_that_fails_reads_as_if_it_had_not(steps in steps(), good in 0..40_usize, tries in 0..3_usize) {
            let file = Memory::good_for(good);
            let disk = Unsynced::new(Box::new(file.clone()));
            let mut expected = Vec::new();
            for step in steps {
                match step {
                    Step::Write(at, data) => {
                        let at = usize::from(at).min(expected.len());
                        let end = at + data.len();
                        // redb writes within the length that it has set.
                        if end > expected.len() {
                            expected.resize(end, 0);
                            disk.set_len(end as u64).unwrap();
                        }
                        expected[at..end].copy_from_slice(&data);
                        disk.write(at as u64, &data).unwrap();
                    }
                    Step::Length(length) => {
                        expected.resize(length.into(), 0);
                        disk.set_len(length.into()).unwrap();
                    }
                    Step::Sync => disk.sync_data().unwrap(),
                }
                prop_assert_eq!(&content(&disk), &expected);
            }
            if disk.failure().is_some() {
                for good in 0..tries {
                    file.become_good_for(good);
                    let _ = disk.again();
                    prop_assert_eq!(&content(&disk), &expected);
                }
            }
            file.become_good_for(usize::MAX);
            disk.again().unwrap();
            prop_assert!(disk.failure().is_none());
            disk.sync_data().unwrap();
            prop_assert_eq!(&content(&file), &expected);
            prop_assert_eq!(&content(&disk), &expected);
        }
    }

    #[test]
    fn what_is_on_the_disk_is_kept_no_longer() {
        let disk = Unsynced::new(Box::new(Memory::good_for(usize::MAX)));
        disk.write(0, &[1; 100]).unwrap();
        assert_eq!(disk.0.log.read().unwrap().done.len(), 1);
        disk.sync_data().unwrap();
        assert!(disk.0.log.read().unwrap().done.is_empty());
    }

    #[test]
    fn an_error_of_reading_is_told() {
        let disk = Unsynced::new(Box::new(Memory::default()));
        assert!(!disk.unreadable());
        assert!(disk.read(5, &mut [0; 3]).is_err() && disk.unreadable());
    }
}
