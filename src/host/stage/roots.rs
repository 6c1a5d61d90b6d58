//! Root file systems for containers, each used by one container at a time.
//!
//! Every one is an overlay of its own over the shared image (overlayfs: lower layers only, so nothing can ever be
//! written). Two containers then have no file in common: each overlay has its own inodes, and with them its own locks
//! and its own watchers, while the bytes in memory stay shared. Nor does the mount table of a container name the place
//! on the host's disk where the image lies. Mounting one takes a fraction of a millisecond, so that it is kept for the
//! next container: there is no state in it that could pass from one to the other.
//!
//! Unprivileged overlays need kernel 5.11.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::mount::{MsFlags, mount};

use super::{StageError, make_dir, unmount};

/// All of them, on the stage.
#[derive(Debug)]
pub(super) struct Roots {
    /// Where they are mounted.
    place: PathBuf,
    /// The layer above every image; it holds the init.
    layer: PathBuf,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    made: u64,
    /// Mounted and not in use, by image.
    free: HashMap<String, Vec<PathBuf>>,
}

impl Roots {
    pub(super) fn new(place: PathBuf, layer: PathBuf) -> Self {
        Self { place, layer, table: Mutex::default() }
    }

    /// One that nobody uses, for `image`, whose tree is at `lower`.
    pub(super) fn take(self: &Arc<Self>, image: &str, lower: &Path) -> Result<Root, StageError> {
        let root = |path| Root { path, image: image.to_owned(), roots: Arc::clone(self), reusable: false };
        let number = {
            let mut table = self.lock();
            if let Some(path) = table.free.get_mut(image).and_then(Vec::pop) {
                return Ok(root(path));
            }
            table.made += 1;
            table.made
        };
        let path = self.place.join(number.to_string());
        make_dir(&path, 0o755)?;
        // From here on dropping it removes the directory again.
        let root = root(path);
        let layers = format!("lowerdir={}:{}", self.layer.display(), lower.display());
        let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(Some("overlay"), &root.path, Some("overlay"), flags, Some(layers.as_str()))
            .map_err(|source| StageError::Mount { what: format!("a root file system of image {image}"), source })?;
        Ok(root)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A root file system that is one container's alone. Dropped, it is unmounted.
#[derive(Debug)]
pub struct Root {
    path: PathBuf,
    image: String,
    roots: Arc<Roots>,
    reusable: bool,
}

impl Root {
    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps it mounted for the next container. Only for one in which certainly nothing runs any more.
    pub fn give_back(mut self) {
        self.reusable = true;
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if self.reusable {
            let (image, path) = (std::mem::take(&mut self.image), std::mem::take(&mut self.path));
            self.roots.lock().free.entry(image).or_default().push(path);
            return;
        }
        // Not mounted where making it failed half-way.
        let unmounted = unmount(&self.path);
        if let Err(error) = std::fs::remove_dir(&self.path) {
            tracing::error!("a root file system stays behind: {error}; {unmounted:?}");
        }
    }
}
