//! The stage: one tmpfs in the service's own mount namespace, under which stands everything that a container is built
//! from. Nobody outside the namespace sees it and no path of the home directory has to be open to the ids of a job.
//!
//! ```text
//! <stage>/layer/           a tmpfs of its own: what is laid over every image: the init and the kits
//! <stage>/images/<image>/  an image's root file system, bound read-only
//! <stage>/roots/<n>/       an overlay of the two: the root of one container at a time
//! <stage>/state/           the runtime's own notes
//! <stage>/jobs/<name>/     one live container: its bundle, and the tmpfs that becomes its /code
//! ```

mod roots;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use thiserror::Error;

use super::userns::SUBORDINATE_IDS;
use crate::bundle::{INIT_PATH, KIT_PATH};
use roots::Roots;

pub use roots::Root;

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

/// Files by name.
pub type Files = &'static [(&'static str, &'static [u8])];

/// The mounted stage. It goes with the mount namespace, so nothing unmounts it.
#[derive(Clone, Debug)]
pub struct Stage {
    root: PathBuf,
    roots: Arc<Roots>,
}

impl Stage {
    /// Mounts the tmpfs and puts `init` and the kits on it. `keep` are paths that must stay visible.
    ///
    /// # Errors
    /// When there is no place for it or the kernel refuses.
    pub fn build(init: &[u8], kits: &[(&str, Files)], keep: &[&Path]) -> Result<Self, StageError> {
        let root = Self::place(keep)?;
        mount_tmpfs(&root, "mode=0711,size=64m,nr_inodes=16384")?;
        for (dir, mode) in [("layer", 0o755), ("images", 0o711), ("roots", 0o711), ("state", 0o700), ("jobs", 0o711)] {
            make_dir(&root.join(dir), mode)?;
        }
        let layer = root.join("layer");
        make_layer(&layer, init, kits)?;
        let roots = Arc::new(Roots::new(root.join("roots"), layer));
        Ok(Self { root, roots })
    }

    /// Where a stage would stand on this machine; `keep` are paths that must stay visible. Mounts nothing.
    ///
    /// # Errors
    /// When there is no place for it.
    pub fn place(keep: &[&Path]) -> Result<PathBuf, StageError> {
        let free = |place: &&&str| {
            let place = Path::new(place);
            place.is_dir() && keep.iter().all(|k| !k.starts_with(place))
        };
        PLACES
            .iter()
            .find(free)
            .map(PathBuf::from)
            .ok_or_else(|| StageError::NoPlace { in_use: keep.first().map(|k| k.to_path_buf()).unwrap_or_default() })
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

    /// A root file system of image `name` that no other container uses.
    ///
    /// # Errors
    /// When a directory cannot be made or the kernel refuses the mount.
    pub fn root(&self, name: &str) -> Result<Root, StageError> {
        self.roots.take(name, &self.image(name))
    }

    fn image(&self, name: &str) -> PathBuf {
        self.root.join("images").join(name)
    }

    /// The kits of containers that wait warm, each a directory.
    #[must_use]
    pub fn kits(&self) -> PathBuf {
        Self::kits_in(&self.root)
    }

    /// The same of a stage that stands, or would stand, at `root`.
    #[must_use]
    pub fn kits_in(root: &Path) -> PathBuf {
        root.join("layer").join(KIT_PATH.trim_start_matches('/'))
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

/// Mounted by itself, so that what a program learns of its root's size and free space never changes (statfs(2) on an
/// overlay tells of the uppermost layer).
fn make_layer(layer: &Path, init: &[u8], kits: &[(&str, Files)]) -> Result<(), StageError> {
    // Whose a tmpfs is shows in the mount tables of jobs that have a kit's file. The last of the lent ids is the last of a
    // block (`ids::BLOCK`), so that no container has it.
    let nobody_s = format!("uid={SUBORDINATE_IDS},gid={SUBORDINATE_IDS}");
    mount_tmpfs(layer, &format!("mode=0755,size=256k,nr_inodes=32,{nobody_s}"))?;
    let path = layer.join(INIT_PATH.trim_start_matches('/'));
    if let Some(parent) = path.parent() {
        make_dir(parent, 0o755)?;
    }
    let write = |source| StageError::Write { what: "the init of the containers".into(), source };
    fs::write(&path, init).map_err(write)?;
    fs::set_permissions(&path, Permissions::from_mode(0o555)).map_err(write)?;
    let place = layer.join(KIT_PATH.trim_start_matches('/'));
    make_dir(&place, 0o755)?;
    for (kit, files) in kits {
        let dir = place.join(kit);
        make_dir(&dir, 0o755)?;
        for (name, bytes) in *files {
            let write = |source| StageError::Write { what: format!("{name} of the kit {kit}"), source };
            fs::write(dir.join(name), bytes).map_err(write)?;
            fs::set_permissions(dir.join(name), Permissions::from_mode(0o444)).map_err(write)?;
        }
    }
    let none: Option<&str> = None;
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(none, layer, none, flags, none)
        .map_err(|source| StageError::Mount { what: "the init's layer read-only".into(), source })
}

/// A fresh tmpfs at `target`: no device, no setuid. `options` as tmpfs(5) has them.
///
/// # Errors
/// When the kernel refuses.
pub fn mount_tmpfs(target: &Path, options: &str) -> Result<(), StageError> {
    mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(options))
        .map_err(|source| StageError::Mount { what: "a tmpfs".into(), source })
}

/// Gives the tmpfs at `target` other limits; `options` as tmpfs(5) has them.
///
/// # Errors
/// When the kernel refuses.
pub fn resize_tmpfs(target: &Path, options: &str) -> Result<(), StageError> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let none: Option<&str> = None;
    mount(none, target, none, flags, Some(options))
        .map_err(|source| StageError::Mount { what: "a tmpfs anew".into(), source })
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
