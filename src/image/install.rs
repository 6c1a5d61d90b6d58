//! From a finished tree to an image in its place: what is written down beside it, and the rename that makes it one. Common
//! to what is built and to what is imported.
//!
//! Both work in `.building-…` beside the finished images, under an exclusive flock(2) on the directory's `.lock`. Whatever
//! is called so while the lock is held belongs to somebody who died.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::image::cleanup;
use crate::image::digest::Digest;
use crate::image::error::BuildError;
use crate::image::extract::Unpacked;
use crate::image::images::{Image, Images, LISTING, MANIFEST, ROOTFS};
use crate::image::lock;
use crate::image::manifest::{FORMAT, Manifest, Package, Source};
use crate::image::progress::{Event, Progress};
use crate::image::tree::{self, EntryKind};
use crate::model::Bytes;

/// What an image is to be.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) name: String,
    /// Of all that shapes the tree.
    pub(super) recipe: Digest,
    pub(super) packages: Vec<Package>,
    /// Where an imported one comes from.
    pub(super) source: Option<Source>,
}

/// An empty tree and what is to lie beside it.
#[derive(Debug)]
pub(super) struct Stage {
    dir: PathBuf,
    pub(super) root: File,
}

impl Images {
    /// The lock on the directory, and nothing left of those who died with it.
    pub(super) fn lock(&self, progress: &dyn Progress) -> Result<File, BuildError> {
        let path = self.dir.join(".lock");
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = opened.map_err(failed("open the lock", &path))?;
        if !lock::try_exclusive(&file).map_err(failed("lock", &path))? {
            progress.event("", &Event::Waiting);
            lock::exclusive(&file).map_err(failed("lock", &path))?;
        }
        Ok(file)
    }

    /// A directory to work in, under a name that nothing takes for an image.
    pub(super) fn workplace(&self, name: &str) -> Result<TempDir, BuildError> {
        temporary(&self.dir, &format!("{}{name}-", cleanup::PREFIX))
    }

    /// Puts what is finished in `place` where it belongs, and opens it there. An image of before goes, unless it is in use.
    pub(super) fn install(&self, place: &Path, stage: &Stage, label: &Label) -> Result<Image, BuildError> {
        let at = self.place(&label.name, &label.recipe);
        let claimed = Self::claim(&at)?.ok_or_else(|| BuildError::InUse { name: label.name.clone() })?;
        match fs::rename(&at, place.join("old")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("move aside", &at)(error)),
            _ => {}
        }
        fs::rename(&stage.dir, &at).map_err(failed("put in place", &at))?;
        drop(claimed);
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", &self.dir))?;
        Self::load(&at)?.ok_or_else(|| BuildError::BrokeOff { name: label.name.clone() })
    }
}

impl Stage {
    pub(super) fn new(place: &Path) -> Result<Self, BuildError> {
        let dir = place.join("image");
        let rootfs = dir.join(ROOTFS);
        for dir in [&dir, &rootfs] {
            fs::create_dir(dir).map_err(failed("make the directory", dir))?;
            set_readable(dir)?;
        }
        let root = File::open(&rootfs).map_err(failed("open", &rootfs))?;
        Ok(Self { dir, root })
    }

    /// Writes the listing and the manifest beside the finished tree, and all of it to the disk.
    pub(super) fn write_down(&self, label: &Label, unpacked: &Unpacked) -> Result<Manifest, BuildError> {
        let entries = tree::walk(self.root.as_fd())?;
        let listing = tree::listing(self.root.as_fd(), &entries, &unpacked.contents)?;
        let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
        let path = self.dir.join(MANIFEST);
        let manifest = Manifest {
            format: FORMAT,
            name: label.name.clone(),
            recipe: label.recipe,
            tree: Digest::of(listing.as_bytes()),
            quick: tree::quick_digest(&entries),
            size: Bytes(files.clone().map(|entry| entry.size).sum()),
            files: files.count() as u64,
            built_at: now().map_err(failed("date", &path))?,
            packages: label.packages.clone(),
            source: label.source.clone(),
        };
        write(&self.dir.join(LISTING), listing.as_bytes())?;
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| failed("write", &path)(error.into()))?;
        write(&path, &json)?;
        // The manifest names what must be on disk before it counts.
        rustix::fs::syncfs(&self.root).map_err(io::Error::from).map_err(failed("sync", &self.dir))?;
        Ok(manifest)
    }
}

pub(super) fn temporary(dir: &Path, prefix: &str) -> Result<TempDir, BuildError> {
    let made = tempfile::Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o755)).tempdir_in(dir);
    let made = made.map_err(failed("make a temporary directory in", dir))?;
    // Whatever the umask said.
    set_readable(made.path())?;
    Ok(made)
}

pub(super) fn set_readable(dir: &Path) -> Result<(), BuildError> {
    fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(failed("set the mode of", dir))
}

fn now() -> io::Result<String> {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).map_err(io::Error::other)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()
    });
    written.map_err(failed("write", path))
}

pub(super) fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::Io { operation, path, source }
}
