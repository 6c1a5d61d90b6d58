//! A job's directory under the stage: the bundles of its containers, and a tmpfs of its own that becomes its `/code`.
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
        let code = workdir.code();
        fs::set_permissions(&workdir.path, Permissions::from_mode(0o711)).map_err(file("open the way to /code"))?;
        fs::create_dir(&code).map_err(file("make /code"))?;
        // Room for the sources on top of what the job may write. The bundles are not in it: a job that fills it up must
        // not be able to stop its own next step.
        let sources: usize = files.iter().map(|(_, bytes)| bytes.len().next_multiple_of(4096)).sum();
        let options =
            format!("mode=0755,size={},nr_inodes={}", size.0 + sources as u64, inodes.0 + 1 + files.len() as u64);
        mount_tmpfs(&code, &options)?;
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
    // Not mounted where making it failed half-way; then there is nothing of the job's in it.
    let unmounted = unmount(&path.join("code"));
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(source) => {
            unmounted?;
            Err(WorkdirError::File { action: "remove what is left", source })
        }
    }
}

fn file(action: &'static str) -> impl Fn(io::Error) -> WorkdirError {
    move |source| WorkdirError::File { action, source }
}
