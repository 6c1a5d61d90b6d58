//! A job's directory: a tmpfs of its own under the stage, with the bundle of the live container and the job's `/code`.
//!
//! What lies in `/code` after a step is the job's and hostile. Nothing here reads it; it goes away as a whole.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::host::stage::{Stage, StageError, mount_tmpfs, unmount};
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

/// A directory that goes away with this value.
#[derive(Debug)]
pub(super) struct Workdir {
    path: PathBuf,
    steps: u32,
}

impl Workdir {
    /// Makes the directory `name` with `files` in its `/code`. `job` is the user that may write there.
    pub(super) fn new(
        stage: &Stage,
        name: &str,
        (size, inodes): (Bytes, Inodes),
        job: u32,
        files: &[(String, Vec<u8>)],
    ) -> Result<Self, WorkdirError> {
        let path = stage.jobs().join(name);
        fs::create_dir(&path).map_err(file("make the mount point"))?;
        let workdir = Self { path, steps: 0 };
        // The bundle and the sources are in it too, beside what the job may write.
        let options = format!("mode=0711,size={},nr_inodes={}", size.0 + (16 << 20), inodes.0 + 64);
        mount_tmpfs(&workdir.path, &options)?;
        let code = workdir.code();
        fs::create_dir(&code).map_err(file("make /code"))?;
        fs::set_permissions(&code, Permissions::from_mode(0o755)).map_err(file("open /code"))?;
        for (name, bytes) in files {
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o444)
                .open(code.join(name))
                .and_then(|mut f| f.write_all(bytes).map(|()| f))
                .and_then(|f| f.set_permissions(Permissions::from_mode(0o444)))
                .map_err(file("write a source file"))?;
        }
        // Last: from here on the directory is the job's.
        std::os::unix::fs::chown(&code, Some(job), Some(job)).map_err(file("hand over /code"))?;
        Ok(workdir)
    }

    pub(super) fn code(&self) -> PathBuf {
        self.path.join("code")
    }

    /// An empty directory for the next container's bundle.
    pub(super) fn bundle(&mut self) -> Result<PathBuf, WorkdirError> {
        self.steps += 1;
        let path = self.path.join(format!("bundle-{}", self.steps));
        fs::create_dir(&path).map_err(file("make a bundle"))?;
        fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(file("close a bundle"))?;
        Ok(path)
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::error!(error = &error as &dyn std::error::Error, "a job's directory stays behind");
        }
    }
}

fn remove(path: &Path) -> Result<(), WorkdirError> {
    // Not mounted where making it failed half-way; then the directory below is empty.
    let unmounted = unmount(path);
    match fs::remove_dir(path) {
        Ok(()) => Ok(()),
        Err(source) => {
            unmounted?;
            Err(WorkdirError::File { action: "remove the mount point", source })
        }
    }
}

fn file(action: &'static str) -> impl Fn(io::Error) -> WorkdirError {
    move |source| WorkdirError::File { action, source }
}
