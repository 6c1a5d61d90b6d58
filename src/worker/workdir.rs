//! A container's directory under the stage: its bundle, and a tmpfs of its own that becomes its `/code`.
//!
//! What lies in `/code` after a step is the job's and hostile. Nothing here reads it; it goes away as a whole.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::host::stage::{Stage, StageError, mount_tmpfs, resize_tmpfs, unmount};
use crate::model::{Bytes, Inodes};

/// What went wrong with a job's directory.
#[derive(Debug, Error)]
pub enum WorkdirError {
    /// See the source.
    #[error("cannot {action} in the job's directory")]
    File {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// See the source.
    #[error(transparent)]
    Mount(#[from] StageError),
}

/// A file in `/code`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct CodeFile {
    /// Its path below `/code`, of plain names.
    pub(super) path: PathBuf,
    /// Permission bits.
    pub(super) mode: u32,
    /// What is in it.
    pub(super) bytes: Vec<u8>,
}

impl CodeFile {
    /// A source file as the program's author sent it: readable by all, writable by none.
    pub(super) fn source(name: String, bytes: Vec<u8>) -> Self {
        Self { path: name.into(), mode: 0o444, bytes }
    }
}

impl fmt::Debug for CodeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.path.display(), self.bytes.len())
    }
}

/// A directory that goes away with this value.
#[derive(Debug)]
pub(super) struct Workdir {
    path: PathBuf,
    room: Option<(Bytes, Inodes)>,
    job: u32,
}

impl Workdir {
    /// Makes the directory `name`, with an empty `/code` of `room` if there is to be one. `job` is the user that may write
    /// there.
    pub(super) fn new(
        stage: &Stage,
        name: &str,
        room: Option<(Bytes, Inodes)>,
        job: u32,
    ) -> Result<Self, WorkdirError> {
        let path = stage.jobs().join(name);
        fs::create_dir(&path).map_err(file("make the mount point"))?;
        let workdir = Self { path, room, job };
        fs::set_permissions(&workdir.path, Permissions::from_mode(0o711)).map_err(file("open the way to /code"))?;
        let bundle = workdir.bundle();
        fs::create_dir(&bundle).map_err(file("make a bundle"))?;
        fs::set_permissions(&bundle, Permissions::from_mode(0o700)).map_err(file("close a bundle"))?;
        if let (Some(code), Some(room)) = (workdir.code(), room) {
            fs::create_dir(&code).map_err(file("make /code"))?;
            // The bundle is not in it: a job that fills it up must not be able to stop its own way.
            // Its owner is an option, and shows in the job's mount table: so it is not the service's account.
            mount_tmpfs(&code, &format!("{},uid={job},gid={job}", options(room, &[])))?;
        }
        Ok(workdir)
    }

    /// Puts `files` into `/code`, before anything of the job's has run there. There is room for them on top of what the
    /// job may write.
    pub(super) fn put(&self, files: &[CodeFile]) -> Result<(), WorkdirError> {
        let (false, Some(code), Some(room)) = (files.is_empty(), self.code(), self.room) else { return Ok(()) };
        resize_tmpfs(&code, &options(room, files))?;
        for CodeFile { path, mode, bytes } in files {
            let target = code.join(path);
            self.put_directories(&code, path)?;
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(*mode)
                .open(target)
                .and_then(|mut f| f.write_all(bytes).map(|()| f))
                .and_then(|f| f.set_permissions(Permissions::from_mode(*mode)))
                .map_err(file("write a file"))?;
        }
        Ok(())
    }

    /// The directories above a file, where a compiler may put what it makes of it.
    fn put_directories(&self, code: &Path, path: &Path) -> Result<(), WorkdirError> {
        let above: Vec<&Path> = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).collect();
        for directory in above.into_iter().rev().map(|above| code.join(above)) {
            match fs::DirBuilder::new().mode(0o755).create(&directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made
                    .and_then(|()| std::os::unix::fs::chown(&directory, Some(self.job), Some(self.job)))
                    .map_err(file("make a directory"))?,
            }
        }
        Ok(())
    }

    /// What becomes `/code`, if there is one.
    pub(super) fn code(&self) -> Option<PathBuf> {
        self.room.map(|_| self.path.join("code"))
    }

    /// The directory for the container's bundle.
    pub(super) fn bundle(&self) -> PathBuf {
        self.path.join("bundle")
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        // Once more, should anything have come in between.
        let again = |_| remove(&self.path, self.code().as_deref());
        if let Err(error) = remove(&self.path, self.code().as_deref()).or_else(again) {
            tracing::error!(error = &error as &dyn std::error::Error, "a job's directory stays behind");
        }
    }
}

/// With room for `files` on top of what the job may write.
fn options((size, inodes): (Bytes, Inodes), files: &[CodeFile]) -> String {
    let more: usize = files.iter().map(|file| file.bytes.len().next_multiple_of(4096)).sum();
    let names: usize = files.iter().map(|file| file.path.components().count()).sum();
    format!("mode=0755,size={},nr_inodes={}", size.0 + more as u64, inodes.0 + 1 + names as u64)
}

fn remove(path: &Path, code: Option<&Path>) -> Result<(), WorkdirError> {
    // Not mounted where making it failed half-way; then there is nothing of the job's in it.
    let unmounted = code.map_or(Ok(()), unmount);
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => {
            unmounted?;
            Err(WorkdirError::File { action: "remove what is left", source })
        }
    }
}

fn file(action: &'static str) -> impl Fn(io::Error) -> WorkdirError {
    move |source| WorkdirError::File { action, source }
}
