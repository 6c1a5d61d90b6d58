//! The directory of images: finding, listing, checking and removing what is there. Building is `build`'s, importing
//! `import`'s.
//!
//! `<dir>/<name>-<first 12 digits of the recipe's digest>/` holds `rootfs/`, `manifest.json` and `tree.list`, the listing
//! that the tree's digest is over; where an image was imported, that of its id and of the importer stands in the recipe's
//! place. Whoever uses an image holds a shared flock(2) on its manifest; nothing removes an
//! image without the exclusive one.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::image::digest::Digest;
use crate::image::error::{BuildError, ImageError, VerifyError};
use crate::image::manifest::{FORMAT, Manifest};
use crate::image::mmdebstrap;
use crate::image::progress::Progress;
use crate::image::recipe::{Recipe, Recipes};
use crate::image::{cleanup, lock, tree};
use crate::model::Bytes;

pub(super) const ROOTFS: &str = "rootfs";
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const LISTING: &str = "tree.list";

/// A directory of images.
#[derive(Clone, Debug)]
pub struct Images {
    pub(super) dir: PathBuf,
}

/// A finished image. As long as a clone of it lives, no build removes its tree.
#[derive(Clone, Debug)]
pub struct Image {
    /// Of the image, as in its recipe.
    pub name: String,
    /// Of the whole tree.
    pub digest: Digest,
    /// The tree, an absolute path on the host.
    pub rootfs: PathBuf,
    /// Of all its files.
    pub size: Bytes,
    manifest: Arc<Manifest>,
    /// Carries the shared lock; its time says which of several was imported last.
    held: Arc<File>,
}

impl Image {
    /// All that was written down when it was built.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Makes this the last one that was imported under its name.
    pub(super) fn touch(&self) -> io::Result<()> {
        self.held.set_modified(SystemTime::now())
    }

    fn open_root(&self) -> Result<File, ImageError> {
        File::open(&self.rootfs).map_err(io_error("open", &self.rootfs))
    }
}

impl Images {
    /// The directory, which is made if it is missing.
    ///
    /// # Errors
    /// It cannot be made or its absolute path cannot be had.
    pub fn open(dir: &Path) -> Result<Self, ImageError> {
        fs::create_dir_all(dir).map_err(io_error("make the directory of images", dir))?;
        let dir = fs::canonicalize(dir).map_err(io_error("find the directory of images", dir))?;
        Ok(Self { dir })
    }

    /// The image of this very recipe, or `None` if it was not built yet. Looks at the manifest alone.
    ///
    /// # Errors
    /// There is one and its manifest cannot be read or is not of this recipe.
    pub fn find(&self, recipe: &Recipe) -> Result<Option<Image>, ImageError> {
        let digest = recipe.digest();
        let at = self.place(&recipe.name, &digest);
        let Some(image) = Self::load(&at)? else { return Ok(None) };
        if image.name != recipe.name || image.manifest.recipe != digest {
            return Err(ImageError::Foreign { path: at.join(MANIFEST) });
        }
        Ok(Some(image))
    }

    /// The image that is meant by a name: of the recipe that has it, or else the one that was imported under it last.
    ///
    /// # Errors
    /// There is one and its manifest cannot be read.
    pub fn named(&self, name: &str, recipes: &Recipes) -> Result<Option<Image>, ImageError> {
        match recipes.get(name) {
            Some(recipe) => self.find(recipe),
            None => self.imported(name),
        }
    }

    fn imported(&self, name: &str) -> Result<Option<Image>, ImageError> {
        let mut last: Option<(SystemTime, Image)> = None;
        let mut damaged = None;
        for (_, at) in self.versions()?.into_iter().filter(|(of, _)| of == name) {
            let image = match Self::load(&at) {
                Ok(image) => image.filter(|image| image.name == name && image.manifest.source.is_some()),
                Err(error) => {
                    damaged = Some(error);
                    None
                }
            };
            let Some(image) = image else { continue };
            let path = at.join(MANIFEST);
            let when = image.held.metadata().and_then(|found| found.modified()).map_err(io_error("look at", &path))?;
            if last.as_ref().is_none_or(|(before, _)| *before <= when) {
                last = Some((when, image));
            }
        }
        match (last, damaged) {
            (Some((_, image)), _) => Ok(Some(image)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }

    /// The names under which something was imported, in their order.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn imports(&self) -> Result<Vec<String>, ImageError> {
        let imported = self.list()?.into_iter().filter(|image| image.manifest.source.is_some());
        let mut names: Vec<String> = imported.map(|image| image.name).collect();
        names.dedup();
        Ok(names)
    }

    /// Removes every version of an image, built or imported, and says how many there were. Waits while another process
    /// builds or imports in the same directory.
    ///
    /// # Errors
    /// One of them is in use; what was not is removed.
    pub fn remove(&self, name: &str, progress: &dyn Progress) -> Result<usize, BuildError> {
        let _lock = self.lock(progress)?;
        let (mut removed, mut in_use) = (0, false);
        for (_, at) in self.versions()?.into_iter().filter(|(of, _)| of == name) {
            match cleanup::version(self, &at, &mmdebstrap::default_program())? {
                true => removed += 1,
                false => in_use = true,
            }
        }
        if in_use { Err(BuildError::InUse { name: name.to_owned() }) } else { Ok(removed) }
    }

    /// Every image that is there, of whatever recipe, by name; damaged ones are passed over.
    ///
    /// # Errors
    /// The directory cannot be listed.
    pub fn list(&self) -> Result<Vec<Image>, ImageError> {
        let mut images: Vec<Image> =
            self.versions()?.iter().filter_map(|(_, at)| Self::load(at).ok().flatten()).collect();
        images.sort_by(|a, b| (&a.name, &a.manifest.built_at).cmp(&(&b.name, &b.manifest.built_at)));
        Ok(images)
    }

    /// Compares type, mode, size and time of every entry with what was built, in some ten milliseconds. A change that
    /// keeps them all passes; [`Images::verify`] finds that too.
    ///
    /// # Errors
    /// The tree differs or cannot be read.
    pub fn check_quick(&self, image: &Image) -> Result<(), VerifyError> {
        let root = image.open_root()?;
        if tree::quick_digest(&tree::walk(root.as_fd())?) == image.manifest.quick {
            return Ok(());
        }
        Err(VerifyError::Touched { name: image.name.clone(), imported: image.manifest.source.is_some() })
    }

    /// Reads the whole tree and compares it with what was built.
    ///
    /// # Errors
    /// The tree differs, and where first; or it cannot be read.
    pub fn verify(&self, image: &Image) -> Result<(), VerifyError> {
        let imported = image.manifest.source.is_some();
        let path = image.rootfs.with_file_name(LISTING);
        let expected = fs::read_to_string(&path).map_err(io_error("read", &path))?;
        if Digest::of(expected.as_bytes()) != image.digest {
            return Err(VerifyError::Listing { name: image.name.clone(), imported });
        }
        let root = image.open_root()?;
        let entries = tree::walk(root.as_fd())?;
        let found = tree::listing(root.as_fd(), &entries, &HashMap::new())?;
        match tree::first_difference(&expected, &found) {
            None => Ok(()),
            Some((path, difference)) => {
                Err(VerifyError::Differs { name: image.name.clone(), path, difference, imported })
            }
        }
    }

    pub(super) fn place(&self, name: &str, recipe: &Digest) -> PathBuf {
        self.dir.join(format!("{name}-{}", recipe.short()))
    }

    /// Name and place of everything that is called as an image is.
    pub(super) fn versions(&self) -> Result<Vec<(String, PathBuf)>, ImageError> {
        let failed = || io_error("list", &self.dir);
        let mut versions = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed())? {
            let path = entry.map_err(failed())?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('-'));
            if let Some((name, digest)) = name
                && !name.starts_with('.')
                && digest.len() == 12
                && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
            {
                versions.push((name.to_owned(), path));
            }
        }
        Ok(versions)
    }

    /// Opens what lies at `at` and takes the shared lock.
    pub(super) fn load(at: &Path) -> Result<Option<Image>, ImageError> {
        let path = at.join(MANIFEST);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(io_error("open", &path))?,
        };
        lock::shared(&file).map_err(io_error("lock", &path))?;
        // While it waited for the lock the image may have been removed, or replaced.
        let held = file.metadata().map_err(io_error("look at", &path))?;
        match fs::metadata(&path) {
            Ok(there) if (there.dev(), there.ino()) == (held.dev(), held.ino()) => {}
            Ok(_) => return Self::load(at),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("look at", &path)(error)),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io_error("read", &path))?;
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|source| ImageError::Manifest { path: path.clone(), source })?;
        if manifest.format != FORMAT {
            return Err(ImageError::Foreign { path });
        }
        Ok(Some(Image {
            name: manifest.name.clone(),
            digest: manifest.tree,
            rootfs: at.join(ROOTFS),
            size: manifest.size,
            manifest: Arc::new(manifest),
            held: Arc::new(file),
        }))
    }

    /// Whether nobody uses what lies at `at`; the lock is held as long as the file lives. `None` if it is in use.
    pub(super) fn claim(at: &Path) -> Result<Option<Option<File>>, ImageError> {
        let path = at.join(MANIFEST);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(None)),
            opened => opened.map_err(io_error("open", &path))?,
        };
        let free = lock::try_exclusive(&file).map_err(io_error("lock", &path))?;
        Ok(free.then_some(Some(file)))
    }
}

pub(super) fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::Io { operation, path, source }
}
