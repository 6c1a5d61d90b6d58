//! Builds images: one at a time for a name, several side by side, and never half of one in the place of a whole.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use crate::image::error::BuildError;
use crate::image::extract::{self, Unpacked};
use crate::image::furnish::furnish;
use crate::image::images::{Image, Images};
use crate::image::install::{Label, Stage, failed, temporary};
use crate::image::leave_out::LeaveOut;
use crate::image::mmdebstrap::{self, Archives, Call};
use crate::image::packages;
use crate::image::progress::{Event, Progress};
use crate::image::recipe::Recipe;
use crate::image::{archives, cleanup};

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
        let place = self.images.workplace(&self.recipe.name)?;
        let built = self.build_in(place.path(), began);
        cleanup::remove(place.path(), &self.options.program);
        built
    }

    fn build_in(&self, place: &Path, began: Instant) -> Result<Image, BuildError> {
        let stage = Stage::new(place)?;
        let mut unpacked = self.unpack(place, stage.root.as_fd())?;
        let unpack_error = |source| BuildError::Unpack { name: self.recipe.name.clone(), source };
        furnish(stage.root.as_fd(), &mut unpacked).map_err(unpack_error)?;
        unpacked.finish_times(stage.root.as_fd()).map_err(unpack_error)?;
        let packages = packages::installed(&unpacked.status);
        if packages.is_empty() {
            return Err(BuildError::NoPackages { name: self.recipe.name.clone() });
        }
        let (name, recipe) = (self.recipe.name.clone(), self.recipe.digest());
        let label = Label { name, recipe, packages, source: None };
        let manifest = stage.write_down(&label, &unpacked)?;
        let image = self.images.install(place, &stage, &label)?;
        cleanup::old_versions(self.images, &label.name, &label.recipe, &self.options.program);
        self.tell(&Event::Done { size: manifest.size, files: manifest.files, took: began.elapsed() });
        Ok(image)
    }

    /// Runs mmdebstrap and unpacks what it delivers.
    fn unpack(&self, place: &Path, root: BorrowedFd<'_>) -> Result<Unpacked, BuildError> {
        // mmdebstrap works under subordinate ids, which cannot pass a private home directory.
        let work = match cleanup::open_to_all(place) {
            true => temporary(place, "work-")?,
            false => temporary(Path::new(cleanup::ELSEWHERE), &cleanup::prefix_elsewhere(&self.images.dir))?,
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

    fn tell(&self, event: &Event) {
        self.progress.event(&self.recipe.name, event);
    }
}

#[cfg(test)]
pub(super) mod tests;
