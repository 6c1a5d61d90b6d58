//! A disk that counts its syncs, and fails or is slow when it is told to.
//!
//! A write that fails has written its first half; after a sync that fails nothing since the last one is on the disk, as
//! where the kernel has dropped the pages.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{DatabaseError, StorageBackend};

use super::{How, how};

#[derive(Clone, Debug, Default)]
pub(super) struct Faulty(Arc<Faults>);

#[derive(Debug, Default)]
struct Faults {
    syncs: AtomicUsize,
    slow: AtomicBool,
    fail_syncs: AtomicBool,
    fail_writes: AtomicBool,
    fail_reads: AtomicBool,
    /// Whoever holds it holds up every sync.
    held: Mutex<()>,
    /// Writes, syncs and changes of the length that still work before `left_failing` of them fail.
    left: AtomicUsize,
    left_failing: AtomicUsize,
    /// What was at the places that were written since the last sync.
    before: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl Faulty {
    pub(super) fn how(&self) -> How {
        let faults = Arc::clone(&self.0);
        let opener = move |path: &Path| -> Result<Box<dyn StorageBackend>, DatabaseError> {
            let file = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
            Ok(Box::new(Backend { file: FileBackend::new(file)?, faults: Arc::clone(&faults) }))
        };
        How { opener: Arc::new(opener), ..how() }
    }

    pub(super) fn syncs(&self) -> usize {
        self.0.syncs.load(Ordering::Relaxed)
    }

    pub(super) fn slow_down(&self) {
        self.0.slow.store(true, Ordering::Relaxed);
    }

    /// No sync comes back before this is dropped.
    pub(super) fn hold_up(&self) -> MutexGuard<'_, ()> {
        self.0.held.lock().unwrap()
    }

    pub(super) fn fail_syncs(&self, fail: bool) {
        self.0.fail_syncs.store(fail, Ordering::Relaxed);
    }

    pub(super) fn fail_writes(&self, fail: bool) {
        self.0.fail_writes.store(fail, Ordering::Relaxed);
    }

    pub(super) fn fail_reads(&self, fail: bool) {
        self.0.fail_reads.store(fail, Ordering::Relaxed);
    }

    /// After `works` more writes, syncs and changes of the length, `fail` of them fail.
    pub(super) fn fail_after(&self, works: usize, fail: usize) {
        self.0.left.store(works, Ordering::Relaxed);
        self.0.left_failing.store(fail, Ordering::Relaxed);
    }

    /// Whether those have failed.
    pub(super) fn has_failed(&self) -> bool {
        self.0.left_failing.load(Ordering::Relaxed) == 0
    }
}

#[derive(Debug)]
struct Backend {
    file: FileBackend,
    faults: Arc<Faults>,
}

fn failing(fault: &AtomicBool) -> io::Result<()> {
    if fault.load(Ordering::Relaxed) { Err(io::Error::other("the disk is broken")) } else { Ok(()) }
}

impl Faults {
    fn turn(&self, fault: &AtomicBool) -> io::Result<()> {
        let less = |number: &AtomicUsize| {
            number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
        };
        if !less(&self.left) && less(&self.left_failing) {
            return Err(io::Error::other("the disk is broken for a while"));
        }
        failing(fault)
    }
}

impl Backend {
    /// Notes what is there before it is written over.
    fn note(&self, offset: u64, length: usize) -> io::Result<()> {
        let there = usize::try_from(self.file.len()?.saturating_sub(offset)).unwrap_or(length).min(length);
        let mut before = vec![0; there];
        self.file.read(offset, &mut before)?;
        self.faults.before.lock().unwrap().push((offset, before));
        Ok(())
    }

    fn drop_pages(&self) -> io::Result<()> {
        let mut before = self.faults.before.lock().unwrap();
        before.drain(..).rev().try_for_each(|(offset, bytes)| self.file.write(offset, &bytes))
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        failing(&self.faults.fail_reads)?;
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.faults.turn(&self.faults.fail_writes)?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.syncs.fetch_add(1, Ordering::Relaxed);
        if self.faults.slow.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(self.faults.held.lock().unwrap());
        if let Err(error) = self.faults.turn(&self.faults.fail_syncs) {
            self.drop_pages()?;
            return Err(error);
        }
        self.faults.before.lock().unwrap().clear();
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(offset, data.len())?;
        if let Err(error) = self.faults.turn(&self.faults.fail_writes) {
            self.file.write(offset, &data[..data.len() / 2])?;
            return Err(error);
        }
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
