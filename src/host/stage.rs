//! The stage: one tmpfs in the service's own mount namespace, under which stands everything that a container is built
//! from. Nobody outside the namespace sees it and no path of the home directory has to be open to the ids of a job.
//!
//! ```text
//! <stage>/init             process 1 of every container
//! <stage>/images/<image>/  an image's root file system, bound read-only
//! <stage>/state/           the runtime's own notes
//! <stage>/jobs/<job>/      one live job: its bundles, and the tmpfs that becomes its /code
//! ```

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use thiserror::Error;

/// Directories that a file system has by the Filesystem Hierarchy Standard and that the service itself does not need.
const PLACES: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];

/// What went wrong with the stage.
#[derive(Debug, Error)]
pub enum StageError {
    /// None of the usual directories exists and is free.
    #[error("none of {PLACES:?} can carry the service's private tmpfs: each is missing or holds {in_use}")]
    NoPlace {
        /// The directory that must stay visible.
        in_use: PathBuf,
    },
    /// See the source.
    #[error("cannot mount {what}")]
    Mount {
        /// What was to be mounted.
        what: String,
        /// Why it was not.
        #[source]
        source: Errno,
    },
    /// See the source.
    #[error("cannot write {what}")]
    Write {
        /// What was to be written.
        what: String,
        /// Why it was not.
        #[source]
        source: io::Error,
    },
}

/// The mounted stage. It goes with the mount namespace, so nothing unmounts it.
#[derive(Clone, Debug)]
pub struct Stage {
    root: PathBuf,
}

impl Stage {
    /// Mounts the tmpfs and puts `init` on it. `keep` are paths that must stay visible.
    ///
    /// # Errors
    /// When there is no place for it or the kernel refuses.
    pub fn build(init: &[u8], keep: &[&Path]) -> Result<Self, StageError> {
        let free = |place: &&str| {
            let place = Path::new(place);
            place.is_dir() && keep.iter().all(|k| !k.starts_with(place))
        };
        let root =
            PLACES.iter().find(|p| free(p)).map(PathBuf::from).ok_or_else(|| StageError::NoPlace {
                in_use: keep.first().map(|k| k.to_path_buf()).unwrap_or_default(),
            })?;
        mount_tmpfs(&root, "mode=0711,size=64m,nr_inodes=16384")?;
        let stage = Self { root };
        for (dir, mode) in [("images", 0o711), ("state", 0o700), ("jobs", 0o711)] {
            make_dir(&stage.root.join(dir), mode)?;
        }
        let path = stage.init();
        let write = |source| StageError::Write { what: "the init of the containers".into(), source };
        fs::write(&path, init).map_err(write)?;
        fs::set_permissions(&path, Permissions::from_mode(0o555)).map_err(write)?;
        Ok(stage)
    }

    /// Makes the root file system at `rootfs` appear as image `name`, read-only.
    ///
    /// # Errors
    /// When a directory cannot be made or the kernel refuses the mount.
    pub fn add_image(&self, name: &str, rootfs: &Path) -> Result<(), StageError> {
        let target = self.image(name);
        make_dir(&target, 0o755)?;
        let refused = |source| StageError::Mount { what: format!("image {name}"), source };
        let none: Option<&str> = None;
        mount(Some(rootfs), &target, none, MsFlags::MS_BIND, none).map_err(refused)?;
        let flags =
            MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(none, &target, none, flags, none).map_err(refused)
    }

    /// The init binary.
    #[must_use]
    pub fn init(&self) -> PathBuf {
        self.root.join("init")
    }

    /// The root file system of image `name`.
    #[must_use]
    pub fn image(&self, name: &str) -> PathBuf {
        self.root.join("images").join(name)
    }

    /// Where the runtime keeps its notes.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// Where jobs have their directories.
    #[must_use]
    pub fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }
}

/// A fresh tmpfs at `target`: no device, no setuid. `options` as tmpfs(5) has them.
///
/// # Errors
/// When the kernel refuses.
pub fn mount_tmpfs(target: &Path, options: &str) -> Result<(), StageError> {
    mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options))
        .map_err(|source| StageError::Mount { what: "a tmpfs".into(), source })
}

/// Takes a mount away from the tree at once; the kernel frees it when its last user is gone.
///
/// # Errors
/// When the kernel refuses.
pub fn unmount(target: &Path) -> Result<(), StageError> {
    umount2(target, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
        .map_err(|source| StageError::Mount { what: "away a tmpfs".into(), source })
}

fn make_dir(path: &Path, mode: u32) -> Result<(), StageError> {
    let what = || path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    fs::create_dir(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .map_err(|source| StageError::Write { what: what(), source })
}
