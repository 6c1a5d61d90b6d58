//! Imports images that were made elsewhere: archives of `docker save`, `podman save` and OCI layouts. What comes out is an
//! image like those that are built: a tree of plain files that belongs to nobody in a container, with every mount point,
//! pinned by a digest, in place as a whole or not at all.
//!
//! The archive is read once for its digest and its parts (`saved`), the image in it is chosen (`chosen`, of `docker` or
//! `oci`), and its layers are unpacked over one another (`layers`, `merged`). Every document and every layer is checked
//! against the digest that names it, up to the one that the operator gives. All of it has bounds (`bounds`).

mod bounds;
mod chosen;
mod docker;
mod error;
mod flow;
mod installed;
mod layers;
mod merged;
mod oci;
mod saved;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use oci_spec::image::Config;

use crate::image::cleanup;
use crate::image::digest::Digest;
use crate::image::error::UnpackError;
use crate::image::furnish::furnish;
use crate::image::headers::show;
use crate::image::images::{Image, Images};
use crate::image::import::bounds::Bounds;
use crate::image::import::chosen::{Chosen, Layer, Wanted};
use crate::image::import::flow::{Bounded, Part, Tallied, Tally, plain};
use crate::image::import::layers::Layers;
use crate::image::import::saved::Saved;
use crate::image::install::{Label, Stage};
use crate::image::layout::{FIXED_FILES, MOUNT_POINTS};
use crate::image::leave_out::{IMPORTED, LeaveOut, valid_pattern};
use crate::image::manifest::Source;
use crate::image::mmdebstrap;
use crate::image::progress::{Event, Progress};
use crate::image::recipe::{NAME, valid_name};

pub use error::ImportError;
pub use layers::Dropped;

/// Raised when the same archive gives another tree because this changed.
const IMPORTER_VERSION: u32 = 1;

/// What to import.
#[derive(Clone, Debug, Default)]
pub struct Import {
    /// What the image is called here.
    pub name: String,
    /// Its name in the archive, where that has several.
    pub image: Option<String>,
    /// Of the archive, of an index or the manifest in it, or the image's id: nothing else is taken.
    pub digest: Option<Digest>,
    /// Absolute patterns, as in a recipe, of what is left out.
    pub leave_out: Vec<String>,
}

impl Images {
    /// Imports the image, or returns the one that is there if it is this very one and whole. Earlier imports under the name
    /// that nobody uses are removed. Waits while another process builds or imports in the same directory.
    ///
    /// # Errors
    /// The archive was refused or could not be read, or the image could not be put in place. Then nothing has changed.
    pub fn import(&self, archive: File, import: &Import, progress: &dyn Progress) -> Result<Image, ImportError> {
        self.import_within(archive, import, progress, Bounds::IN_FORCE)
    }

    fn import_within(
        &self,
        archive: File,
        import: &Import,
        progress: &dyn Progress,
        bounds: Bounds,
    ) -> Result<Image, ImportError> {
        import.check()?;
        let _lock = self.lock(progress)?;
        let program = mmdebstrap::default_program();
        cleanup::leftovers(&self.dir, &program);
        let tell = |event: &Event| progress.event(&import.name, event);
        let imported = (|| {
            tell(&Event::Step("reading the archive".to_owned()));
            let began = Instant::now();
            let saved = Saved::read(archive, &self.dir, bounds)?;
            let wanted = Wanted { name: import.image.as_deref(), platform: &platform(), bounds };
            let chosen = Chosen::find(&saved, wanted)?;
            import.expects(&saved, &chosen)?;
            if let Some(image) = self.still_there(import, &chosen) {
                tell(&Event::Present);
                return Ok(image);
            }
            let place = self.workplace(&import.name)?;
            let making = Making { images: self, import, saved: &saved, chosen: &chosen, tell: &tell, bounds };
            let made = making.image_in(place.path(), began);
            cleanup::remove(place.path(), &program);
            made
        })();
        match &imported {
            Ok(image) => cleanup::old_versions(self, &image.name, &image.manifest().recipe, &program),
            Err(_) => tell(&Event::Failed),
        }
        imported
    }

    /// The image as an earlier import left it. From now on it is the last one that was imported under its name.
    fn still_there(&self, import: &Import, chosen: &Chosen) -> Option<Image> {
        let image = Self::load(&self.place(&import.name, &import.identity(chosen))).ok().flatten()?;
        self.verify(&image).ok()?;
        image.touch().ok()?;
        Some(image)
    }
}

impl Import {
    fn check(&self) -> Result<(), ImportError> {
        let refused =
            |field, value: &str, remedy| Err(ImportError::Argument { field, value: show(value.as_bytes()), remedy });
        if !valid_name(&self.name) {
            return refused("the name", &self.name, NAME);
        }
        match self.leave_out.iter().find(|pattern| !valid_pattern(pattern)) {
            Some(pattern) => refused("--leave-out", pattern, "use an absolute path without empty, . or .. components"),
            None => Ok(()),
        }
    }

    /// A digest over everything that shapes the tree.
    fn identity(&self, chosen: &Chosen) -> Digest {
        let mounts: Vec<_> =
            MOUNT_POINTS.iter().map(|point| (point.path, format!("{:?}", point.kind), point.mode)).collect();
        let own = (IMPORTER_VERSION, &self.name, chosen.id, &self.leave_out);
        Digest::of(serde_json::json!([own, IMPORTED, mounts, FIXED_FILES]).to_string().as_bytes())
    }

    fn expects(&self, saved: &Saved, chosen: &Chosen) -> Result<(), ImportError> {
        let Some(wanted) = self.digest else { return Ok(()) };
        let there: Vec<Digest> = chosen.indexes.iter().copied().chain(chosen.manifest).chain([chosen.id]).collect();
        if saved.digest == wanted || there.contains(&wanted) {
            return Ok(());
        }
        let there = there.iter().map(|digest| format!("sha256:{digest}")).collect();
        Err(ImportError::Unexpected { wanted, archive: saved.digest, there })
    }
}

/// What images have to be made for, as Docker and the OCI write it.
fn platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("linux/{architecture}")
}

struct Making<'m> {
    images: &'m Images,
    import: &'m Import,
    saved: &'m Saved,
    chosen: &'m Chosen,
    tell: &'m dyn Fn(&Event),
    bounds: Bounds,
}

impl Making<'_> {
    fn image_in(&self, place: &Path, began: Instant) -> Result<Image, ImportError> {
        let stage = Stage::new(place)?;
        let leave_out = LeaveOut::imported(&self.import.leave_out);
        let mut layers = Layers::new(stage.root.as_fd(), &leave_out, self.bounds);
        let (mut unpacked_before, of) = (0, self.chosen.layers.len());
        for (index, layer) in self.chosen.layers.iter().enumerate() {
            (self.tell)(&Event::Step(format!("layer {} of {of}", index + 1)));
            let failed = |source| ImportError::Layer { number: index + 1, of, source };
            unpacked_before += self.add(&mut layers, layer, unpacked_before, failed)?;
        }
        let installed = installed::read(stage.root.as_fd(), &layers.merged).map_err(ImportError::Furnish)?;
        let mut unpacked = layers.unpacked();
        furnish(stage.root.as_fd(), &mut unpacked).map_err(ImportError::Furnish)?;
        unpacked.finish_times(stage.root.as_fd()).map_err(ImportError::Furnish)?;
        let label = Label {
            name: self.import.name.clone(),
            recipe: self.import.identity(self.chosen),
            packages: installed.packages,
            source: Some(self.source(installed.ecosystem, layers.dropped)),
        };
        let manifest = stage.write_down(&label, &unpacked)?;
        let image = self.images.install(place, &stage, &label)?;
        (self.tell)(&Event::Done { size: manifest.size, files: manifest.files, took: began.elapsed() });
        Ok(image)
    }

    /// Unpacks one layer, and returns how much it was without compression.
    fn add(
        &self,
        layers: &mut Layers<'_>,
        layer: &Layer,
        before: u64,
        failed: impl Fn(UnpackError) -> ImportError,
    ) -> Result<u64, ImportError> {
        let missing = || ImportError::Missing { name: show(layer.file.as_bytes()), by: "its manifest" };
        let part = || self.saved.find(&layer.file).ok_or_else(missing);
        // Before a byte of it is believed, where the digest of the file itself is known.
        if let Some(expected) = layer.digest {
            let tally = Tally::default();
            let mut stream = Tallied { stream: part()?, tally: &tally };
            io::copy(&mut stream, &mut io::sink()).map_err(ImportError::Read)?;
            agrees(&layer.file, expected, tally.digest())?;
        }
        let (input, output) = (Tally::default(), Tally::default());
        let unread = |source| UnpackError::Read { after: "its beginning".to_owned(), source };
        let packed: Tallied<'_, Part<'_>> = Tallied { stream: part()?, tally: &input };
        let (_, stream) = plain(packed).map_err(unread).map_err(&failed)?;
        let stream = Tallied { stream, tally: &output };
        let stream = Bounded { stream, input: &input, output: &output, before, bounds: self.bounds };
        let mut tell = |entries, bytes| (self.tell)(&Event::Unpacking { entries, bytes });
        layers.add(stream, &mut tell).map_err(&failed)?;
        agrees(&format!("{} without compression", layer.file), layer.content, output.digest())?;
        Ok(output.bytes())
    }

    fn source(&self, ecosystem: Option<String>, dropped: Dropped) -> Source {
        let config = self.chosen.config.config().as_ref();
        let words = |words: Option<&Option<Vec<String>>>| words.cloned().flatten().unwrap_or_default();
        let mut command = words(config.map(Config::entrypoint));
        command.extend(words(config.map(Config::cmd)));
        Source {
            name: self.chosen.name.clone(),
            platform: platform(),
            archive: self.saved.digest,
            manifest: self.chosen.manifest,
            id: self.chosen.id,
            layers: self.chosen.layers.iter().map(|layer| layer.content).collect(),
            env: words(config.map(Config::env)),
            command,
            ecosystem,
            left_out: self.import.leave_out.clone(),
            dropped,
        }
    }
}

fn agrees(what: &str, expected: Digest, found: Digest) -> Result<(), ImportError> {
    let differs = || ImportError::Digest { what: format!("\"{}\"", show(what.as_bytes())), expected, found };
    if found == expected { Ok(()) } else { Err(differs()) }
}

#[cfg(test)]
pub(super) mod tests;
