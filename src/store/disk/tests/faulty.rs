//! A disk that counts its syncs, and fails or is slow when it is told to.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::{How, how};

#[derive(Clone, Debug, Default)]
pub(super) struct Faulty(Arc<Faults>);

#[derive(Debug, Default)]
struct Faults {
    syncs: AtomicUsize,
    slow: AtomicBool,
    fail_syncs: AtomicBool,
    fail_writes: AtomicBool,
}

impl Faulty {
    pub(super) fn how(&self) -> How {
        let faults = Arc::clone(&self.0);
        let opener = move |path: &Path| -> Result<Database, DatabaseError> {
            let file = std::fs::OpenOptions::new().read(true).write(true).open(path)?;
            let backend = Backend { file: FileBackend::new(file)?, faults: Arc::clone(&faults) };
            Builder::new().set_check_integrity_on_open(true).create_with_backend(backend)
        };
        How { opener: Arc::new(opener), ..how() }
    }

    pub(super) fn syncs(&self) -> usize {
        self.0.syncs.load(Ordering::Relaxed)
    }

    pub(super) fn slow_down(&self) {
        self.0.slow.store(true, Ordering::Relaxed);
    }

    pub(super) fn fail_syncs(&self, fail: bool) {
        self.0.fail_syncs.store(fail, Ordering::Relaxed);
    }

    pub(super) fn fail_writes(&self, fail: bool) {
        self.0.fail_writes.store(fail, Ordering::Relaxed);
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

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.syncs.fetch_add(1, Ordering::Relaxed);
        if self.faults.slow.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        failing(&self.faults.fail_syncs)?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        failing(&self.faults.fail_writes)?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
