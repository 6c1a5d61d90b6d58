//! From a directory to an open file of our format, or words that say what to do. A file that is there is never replaced.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, PosixFadviseAdvice, posix_fadvise};
use redb::backends::FileBackend;
use redb::{Builder, Database, DatabaseError, Error, StorageBackend, StorageError};
use thiserror::Error;

use super::read::Snapshot;
use super::unsynced::Unsynced;
use super::upgrade::{self, Format, STEPS, Step};

/// Memory for pages of the file.
const CACHE: usize = 16 << 20;

/// A file smaller than this is not worth compacting, in bytes.
const SMALL: u64 = 64 << 20;

/// Why a store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Two services would run the same submissions.
    #[error("the store {} is in use by another casemate; stop that one, or choose another home with CASEMATE_HOME", .0.display())]
    InUse(PathBuf),
    /// There is no home to make it in.
    #[error("the home {} is not there: run `casemate setup`, or correct CASEMATE_HOME (in the file: home)", .0.display())]
    NoHome(PathBuf),
    /// It has a format that this version does not know.
    #[error(
        "the store {} was written by a newer casemate (format {found}, this one knows {known}); use that version, or \
         move the file away to begin with an empty store", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// Ours.
        known: u64,
    },
    /// What is in it is not what was written.
    #[error("the store {} is damaged ({why}); put a copy in its place, or move it away to begin with an empty store", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The system said no.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The database said no.
    #[error("the store {} cannot be {action}", path.display())]
    Database {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: Box<Error>,
    },
}

/// How the file is opened: tests put a failing disk beneath it.
pub(super) type Opener = Arc<dyn Fn(&Path) -> Result<Box<dyn StorageBackend>, DatabaseError> + Send + Sync>;

/// On the disk as it is.
pub(super) fn plainly(path: &Path) -> Result<Box<dyn StorageBackend>, DatabaseError> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    Ok(Box::new(FileBackend::new(file)?))
}

/// An open database and what lies beneath it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) file: Unsynced,
}

impl Opened {
    /// Every checksum is looked at, also after an orderly end: a damaged file is found at the start, not by whoever asks
    /// for a result.
    fn new(path: &Path, opener: &Opener) -> Result<Self, DatabaseError> {
        let file = Unsynced::new(opener(path)?);
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
        Ok(Self { database: builder.create_with_backend(file.clone())?, file })
    }

    /// What was written while it was opened must be on the disk.
    fn sound(self, path: &Path) -> Result<Self, OpenError> {
        self.file.failure().map_or(Ok(self), |source| Err(file("write", path)(source)))
    }
}

/// Makes the directory where there is none, and locks it for as long as the answer lives. Whoever has it gets `patience` to
/// be gone.
pub(super) fn lock(directory: &Path, patience: Duration) -> Result<Flock<File>, OpenError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::NoHome(directory.parent().unwrap_or(directory).to_owned()));
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(file("make the directory", directory)(error));
        }
        _ => {}
    }
    let path = directory.join("lock");
    let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let open = open.map_err(file("open", &path))?;
    let open = match Flock::lock(open, FlockArg::LockExclusiveNonblock) {
        Ok(locked) => return Ok(locked),
        Err((open, Errno::EWOULDBLOCK)) => open,
        Err((_, errno)) => return Err(file("lock", &path)(errno.into())),
    };
    let (say, heard) = mpsc::channel();
    // A service that was killed lets go a moment later. The kernel tells when; only a thread can wait for that.
    std::thread::spawn(move || say.send(Flock::lock(open, FlockArg::LockExclusive).map_err(|(_, errno)| errno)));
    match heard.recv_timeout(patience) {
        Ok(locked) => locked.map_err(|errno| file("lock", &path)(errno.into())),
        Err(_) => Err(OpenError::InUse(directory.to_owned())),
    }
}

/// Opens the file, makes it where there is none, and brings it to our format.
pub(super) fn open(path: &Path, opener: &Opener) -> Result<Opened, OpenError> {
    if !path.try_exists().map_err(file("look for", path))? {
        create(path)?;
    }
    // A service before this one may have met a sync that failed: what it wrote looks as if it were on the disk.
    forget_pages(path);
    let opened = existing(path, opener)?;
    bring_up(&opened.database, path, STEPS)?;
    let opened = opened.sound(path)?;
    if !wasteful(&opened.database, path)? {
        return Ok(opened);
    }
    opened.database.close().map_err(|error| database_error("closed", path)(error.into()))?;
    compact(path)?;
    existing(path, opener)
}

/// Opens a file that must be there.
pub(super) fn existing(path: &Path, opener: &Opener) -> Result<Opened, OpenError> {
    let length = fs::metadata(path).map_err(file("look at", path))?.len();
    if length == 0 {
        // redb takes an empty file for a new one. Ours are never empty under this name.
        return Err(damaged(path, "it is empty".to_owned()));
    }
    // The database may meet nonsense with a panic.
    match catch_unwind(AssertUnwindSafe(|| Opened::new(path, opener))) {
        Ok(Ok(opened)) => opened.sound(path),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => Err(OpenError::InUse(path.to_owned())),
        Ok(Err(DatabaseError::Storage(StorageError::Io(error)))) if error.kind() == io::ErrorKind::InvalidData => {
            Err(damaged(path, error.to_string()))
        }
        Ok(Err(error @ DatabaseError::UpgradeRequired(_))) => Err(damaged(path, error.to_string())),
        Ok(Err(DatabaseError::Storage(StorageError::Corrupted(why)))) => Err(damaged(path, why)),
        Ok(Err(DatabaseError::Storage(StorageError::Io(error)))) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(damaged(path, "it is cut short".to_owned()))
        }
        Ok(Err(error)) => Err(database_error("opened", path)(error.into())),
        Err(_) => Err(damaged(path, "it makes no sense".to_owned())),
    }
}

/// What the kernel has of the file in memory may be what could not be read, or what a failed sync did not get to the disk:
/// it counts as written then (fsync(2)). This makes it read the disk again; what is still to be written stays.
pub(super) fn forget_pages(path: &Path) {
    let advise = |file| Ok(posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?);
    if let Err(error) = File::open(path).and_then(advise) {
        tracing::debug!("pages of the store may be out of date: {error}");
    }
}

/// Under another name first, so that a file of this name is always whole.
fn create(path: &Path) -> Result<(), OpenError> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file("remove", &draft)(error)),
        _ => {}
    }
    let database = Builder::new().create(&draft).map_err(|error| database_error("made", &draft)(error.into()))?;
    upgrade::begin(&database).map_err(database_error("made", &draft))?;
    database.close().map_err(|error| database_error("made", &draft)(error.into()))?;
    fs::rename(&draft, path).map_err(file("name", path))?;
    let directory = path.parent().unwrap_or(path);
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(file("keep", directory))
}

pub(super) fn bring_up(database: &Database, path: &Path, steps: &[Step]) -> Result<(), OpenError> {
    let known = upgrade::current(steps);
    match upgrade::format(database).map_err(database_error("read", path))? {
        Format::None | Format::Is(0) => Err(damaged(path, "it has no format".to_owned())),
        Format::Is(found) if found > known => Err(OpenError::Newer { path: path.to_owned(), found, known }),
        Format::Is(found) if found == known => Ok(()),
        Format::Is(found) => {
            tracing::info!("the store is brought from format {found} to {known}");
            upgrade::upgrade(database, found, steps).map_err(database_error("brought to this version", path))
        }
    }
}

/// Nothing that waits may be lost in silence: where the record of one of them cannot be understood, nobody starts.
pub(super) fn sound_line(database: &Database, path: &Path) -> Result<(), OpenError> {
    let found = Snapshot::of(database).and_then(|snapshot| snapshot.damaged()).map_err(database_error("read", path))?;
    match found {
        None => Ok(()),
        Some(id) => Err(damaged(path, format!("what is kept of submission {id}, which waits, cannot be understood"))),
    }
}

/// Whether most of a large file is empty.
fn wasteful(database: &Database, path: &Path) -> Result<bool, OpenError> {
    let length = fs::metadata(path).map_err(file("look at", path))?.len();
    let used = used(database).map_err(database_error("read", path))?;
    let wasteful = length >= SMALL && used <= length / 4;
    if wasteful {
        tracing::info!("the store is compacted: {used} of {length} bytes are in use");
    }
    Ok(wasteful)
}

/// Gives room back to the file system. What is written meanwhile need not be kept for another try: whoever meets an error
/// here does not start, and the file is as it was.
fn compact(path: &Path) -> Result<(), OpenError> {
    let failed = database_error("compacted", path);
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    let mut database = builder.open(path).map_err(|error| failed(error.into()))?;
    database.compact().map_err(|error| database_error("compacted", path)(error.into()))?;
    database.close().map_err(|error| database_error("compacted", path)(error.into()))
}

fn used(database: &Database) -> Result<u64, Error> {
    let transaction = database.begin_write()?;
    let tables = super::tables::Tables::open(&transaction)?;
    let used = tables.number(super::tables::KEPT)? + tables.number(super::tables::WAITING)?;
    drop(tables);
    transaction.abort()?;
    Ok(used)
}

fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::File { action, path, source }
}

fn damaged(path: &Path, why: String) -> OpenError {
    OpenError::Damaged { path: path.to_owned(), why }
}

pub(super) fn database_error(action: &'static str, path: &Path) -> impl FnOnce(Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Database { action, path, source: Box::new(source) }
}
