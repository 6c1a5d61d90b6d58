//! Builds images: one at a time for a name, several side by side, and never half of one in the place of a whole.
//!
//! A build works in `.building-…` beside the finished images, under an exclusive flock(2) on the directory's `.lock`, and
//! ends with a rename. Whatever is called so while the lock is held belongs to a build that died.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::image::digest::Digest;
use crate::image::error::BuildError;
use crate::image::extract::{self, Unpacked};
use crate::image::furnish::furnish;
use crate::image::images::{Image, Images, LISTING, MANIFEST, ROOTFS};
use crate::image::leave_out::LeaveOut;
use crate::image::lock;
use crate::image::manifest::{FORMAT, Manifest};
use crate::image::mmdebstrap::{self, Archives, Call};
use crate::image::packages;
use crate::image::progress::{Event, Progress};
use crate::image::recipe::Recipe;
use crate::image::tree::{self, EntryKind};
use crate::image::{archives, cleanup};
use crate::model::Bytes;

/// How to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// The archive's address, before the recipe's own. `None`: mmdebstrap finds the archive by itself.
    pub mirror: Option<String>,
    /// Build also what is there already.
    pub rebuild: bool,
    /// How many images at once; at least one.
    pub at_once: usize,
    /// Keep the packages' archives, so that the next build fetches only what is new.
    pub keep_archives: bool,
    /// mmdebstrap, by name or path.
    pub program: PathBuf,
}

impl Default for BuildOptions {
    fn default() -> Self {
        Self {
            mirror: None,
            rebuild: false,
            at_once: thread::available_parallelism().map_or(1, usize::from),
            keep_archives: true,
            program: mmdebstrap::default_program(),
        }
    }
}

impl Images {
    /// Builds the image, or returns the one that is there.
    ///
    /// # Errors
    /// As [`Images::build_all`].
    pub fn build(&self, recipe: &Recipe, options: &BuildOptions, progress: &dyn Progress) -> Result<Image, BuildError> {
        let broke_off = || BuildError::BrokeOff { name: recipe.name.clone() };
        match self.build_all(&[recipe], options, progress) {
            Ok(images) => images.into_iter().next().ok_or_else(broke_off),
            Err(errors) => Err(errors.into_iter().next().unwrap_or_else(broke_off)),
        }
    }

    /// Builds the images that are missing, side by side, and returns all in the order of `recipes`. Then removes older
    /// versions of them that nobody uses. Waits while another process builds in the same directory.
    ///
    /// # Errors
    /// All that failed; the images that did not are in place. Refuses to run as root.
    pub fn build_all(
        &self,
        recipes: &[&Recipe],
        options: &BuildOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Image>, Vec<BuildError>> {
        if rustix::process::geteuid().is_root() {
            return Err(vec![BuildError::AsRoot]);
        }
        self.build_all_as_anyone(recipes, options, progress)
    }

    pub(super) fn build_all_as_anyone(
        &self,
        recipes: &[&Recipe],
        options: &BuildOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Image>, Vec<BuildError>> {
        let lock = self.lock(progress).map_err(|error| vec![error])?;
        cleanup::leftovers(&self.dir, &options.program);
        let results: Vec<Mutex<Option<Result<Image, BuildError>>>> = recipes.iter().map(|_| Mutex::new(None)).collect();
        let next = Mutex::new(recipes.iter().zip(&results));
        let take = || next.lock().ok().and_then(|mut next| next.next());
        thread::scope(|scope| {
            for _ in 0..options.at_once.clamp(1, recipes.len().max(1)) {
                scope.spawn(|| {
                    while let Some((recipe, result)) = take() {
                        let built = Build { images: self, recipe, options, progress, lock: &lock }.image();
                        if built.is_err() {
                            progress.event(&recipe.name, &Event::Failed);
                        }
                        if let Ok(mut result) = result.lock() {
                            *result = Some(built);
                        }
                    }
                });
            }
        });
        let (mut images, mut errors) = (Vec::new(), Vec::new());
        for (recipe, result) in recipes.iter().zip(results) {
            match result.into_inner().ok().flatten() {
                Some(Ok(image)) => images.push(image),
                Some(Err(error)) => errors.push(error),
                None => errors.push(BuildError::BrokeOff { name: recipe.name.clone() }),
            }
        }
        if errors.is_empty() { Ok(images) } else { Err(errors) }
    }

    fn lock(&self, progress: &dyn Progress) -> Result<File, BuildError> {
        let path = self.dir.join(".lock");
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = opened.map_err(failed("open the lock", &path))?;
        if !lock::try_exclusive(&file).map_err(failed("lock", &path))? {
            progress.event("", &Event::Waiting);
            lock::exclusive(&file).map_err(failed("lock", &path))?;
        }
        Ok(file)
    }
}

struct Build<'a> {
    images: &'a Images,
    recipe: &'a Recipe,
    options: &'a BuildOptions,
    progress: &'a dyn Progress,
    lock: &'a File,
}

impl Build<'_> {
    fn image(&self) -> Result<Image, BuildError> {
        // One that is damaged is built again.
        if !self.options.rebuild
            && let Ok(Some(image)) = self.images.find(self.recipe)
        {
            self.tell(&Event::Present);
            return Ok(image);
        }
        self.tell(&Event::Started);
        let began = Instant::now();
        let place = self.temporary(&self.images.dir, &format!("{}{}-", cleanup::PREFIX, self.recipe.name))?;
        let built = self.build_in(place.path(), began);
        cleanup::remove(place.path(), &self.options.program);
        built
    }

    fn build_in(&self, place: &Path, began: Instant) -> Result<Image, BuildError> {
        let stage = place.join("image");
        let rootfs = stage.join(ROOTFS);
        for dir in [&stage, &rootfs] {
            make_readable_dir(dir)?;
        }
        let root = File::open(&rootfs).map_err(failed("open", &rootfs))?;
        let mut unpacked = self.unpack(place, root.as_fd())?;
        let unpack_error = |source| BuildError::Unpack { name: self.recipe.name.clone(), source };
        furnish(root.as_fd(), &mut unpacked).map_err(unpack_error)?;
        unpacked.finish_times(root.as_fd()).map_err(unpack_error)?;
        let manifest = self.write_down(&stage, root.as_fd(), &unpacked)?;
        // The manifest names what must be on disk before it counts.
        rustix::fs::syncfs(&root).map_err(io::Error::from).map_err(failed("sync", &stage))?;
        let image = self.install(place, &stage)?;
        cleanup::old_versions(self.images, self.recipe, &self.options.program);
        self.tell(&Event::Done { size: manifest.size, files: manifest.files, took: began.elapsed() });
        Ok(image)
    }

    /// Runs mmdebstrap and unpacks what it delivers.
    fn unpack(&self, place: &Path, root: BorrowedFd<'_>) -> Result<Unpacked, BuildError> {
        // mmdebstrap works under subordinate ids, which cannot pass a private home directory.
        let work = match cleanup::open_to_all(place) {
            true => self.temporary(place, "work-")?,
            false => self.temporary(Path::new(cleanup::ELSEWHERE), &cleanup::prefix_elsewhere(&self.images.dir))?,
        };
        let cache = self.images.dir.join("cache/debs").join(&self.recipe.suite).join(&self.recipe.name);
        let fresh = place.join("debs");
        for dir in [&cache, &fresh] {
            fs::create_dir_all(dir).map_err(failed("make the directory", dir))?;
        }
        let call = Call {
            program: &self.options.program,
            recipe: self.recipe,
            mirror: self.options.mirror.as_deref(),
            work: work.path(),
            archives: self.options.keep_archives.then_some(Archives { from: &cache, to: &fresh }),
            lock: self.lock,
        };
        let leave_out = LeaveOut::new(&self.recipe.remove);
        let step = |said: &str| self.tell(&Event::Step(said.to_owned()));
        let mut tell = |entries, bytes| self.tell(&Event::Unpacking { entries, bytes });
        let unpacked = call.run(&step, |stream| extract::unpack(stream, root, &leave_out, &mut tell));
        cleanup::remove(work.path(), &self.options.program);
        let unpacked = unpacked?;
        if self.options.keep_archives {
            archives::keep(&cache, &fresh, &packages::installed(&unpacked.status));
        }
        Ok(unpacked)
    }

    fn write_down(&self, stage: &Path, root: BorrowedFd<'_>, unpacked: &Unpacked) -> Result<Manifest, BuildError> {
        let packages = packages::installed(&unpacked.status);
        if packages.is_empty() {
            return Err(BuildError::NoPackages { name: self.recipe.name.clone() });
        }
        let entries = tree::walk(root)?;
        let listing = tree::listing(root, &entries, &unpacked.contents)?;
        let files = entries.iter().filter(|entry| entry.kind == EntryKind::File);
        let path = stage.join(MANIFEST);
        let manifest = Manifest {
            format: FORMAT,
            name: self.recipe.name.clone(),
            recipe: self.recipe.digest(),
            tree: Digest::of(listing.as_bytes()),
            quick: tree::quick_digest(&entries),
            size: Bytes(files.clone().map(|entry| entry.size).sum()),
            files: files.count() as u64,
            built_at: now().map_err(failed("date", &path))?,
            packages,
        };
        write(&stage.join(LISTING), listing.as_bytes())?;
        let json = serde_json::to_vec_pretty(&manifest).map_err(|error| failed("write", &path)(error.into()))?;
        write(&path, &json)?;
        Ok(manifest)
    }

    /// Puts the finished image in its place and opens it there.
    fn install(&self, place: &Path, stage: &Path) -> Result<Image, BuildError> {
        let name = || self.recipe.name.clone();
        let at = self.images.place(&self.recipe.name, &self.recipe.digest());
        let claimed = Images::claim(&at)?.ok_or_else(|| BuildError::InUse { name: name() })?;
        match fs::rename(&at, place.join("old")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("move aside", &at)(error)),
            _ => {}
        }
        fs::rename(stage, &at).map_err(failed("put in place", &at))?;
        drop(claimed);
        File::open(&self.images.dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", &self.images.dir))?;
        Images::load(&at)?.ok_or_else(|| BuildError::BrokeOff { name: name() })
    }

    fn temporary(&self, dir: &Path, prefix: &str) -> Result<TempDir, BuildError> {
        let made = tempfile::Builder::new().prefix(prefix).permissions(Permissions::from_mode(0o755)).tempdir_in(dir);
        let made = made.map_err(failed("make a temporary directory in", dir))?;
        // Whatever the umask said.
        set_readable(made.path())?;
        Ok(made)
    }

    fn tell(&self, event: &Event) {
        self.progress.event(&self.recipe.name, event);
    }
}

fn now() -> io::Result<String> {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now).format(&Rfc3339).map_err(io::Error::other)
}

fn make_readable_dir(dir: &Path) -> Result<(), BuildError> {
    fs::create_dir(dir).map_err(failed("make the directory", dir))?;
    set_readable(dir)
}

fn set_readable(dir: &Path) -> Result<(), BuildError> {
    fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(failed("set the mode of", dir))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()
    });
    written.map_err(failed("write", path))
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    move |source| BuildError::Io { operation, path, source }
}

#[cfg(test)]
pub(super) mod tests;
