//! The one image of an archive that is imported: its configuration and its layers, each document checked against the digest
//! that names it before it is read.

use oci_spec::image::ImageConfiguration;
use serde::de::DeserializeOwned;

use crate::image::digest::Digest;
use crate::image::headers::show;
use crate::image::import::bounds::Bounds;
use crate::image::import::error::ImportError;
use crate::image::import::saved::Saved;
use crate::image::import::{docker, oci};

/// Which image is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'w> {
    /// By its name in the archive; the only one without.
    pub(super) name: Option<&'w str>,
    /// Such as `linux/amd64`.
    pub(super) platform: &'w str,
    pub(super) bounds: Bounds,
}

/// One image.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Its name in the archive.
    pub(super) name: Option<String>,
    /// Of the manifest; an archive of the older form has none.
    pub(super) manifest: Option<Digest>,
    /// Of the indexes that lead to the manifest.
    pub(super) indexes: Vec<Digest>,
    /// Of the configuration: what Docker calls the id of the image.
    pub(super) id: Digest,
    pub(super) config: ImageConfiguration,
    /// The lowest first.
    pub(super) layers: Vec<Layer>,
}

/// One layer.
#[derive(Debug)]
pub(super) struct Layer {
    /// In the archive.
    pub(super) file: String,
    /// Of that file, where a manifest says it.
    pub(super) digest: Option<Digest>,
    /// Without compression, which the configuration says.
    pub(super) content: Digest,
}

impl Chosen {
    /// Finds the image. An archive that has both forms is read in the newer one, which has more digests.
    pub(super) fn find(saved: &Saved, wanted: Wanted<'_>) -> Result<Self, ImportError> {
        if saved.has("index.json") && saved.has("oci-layout") {
            return oci::choose(saved, wanted);
        }
        if saved.has("manifest.json") {
            return docker::choose(saved, wanted);
        }
        let system = ["etc/passwd", "bin/sh", "usr/bin/env", "etc/os-release"];
        Err(ImportError::NoImage(if saved.has("repositories") {
            "it was saved by a Docker before 1.10; save it again"
        } else if system.iter().any(|path| saved.has(path)) {
            "it is a root file system, as of `docker export`; `docker save` or `podman save` makes what is read"
        } else {
            "it has neither index.json with oci-layout nor manifest.json; `docker save` or `podman save` makes one"
        }))
    }

    /// With these layers' files, and their digests where they are known.
    pub(super) fn of(
        id: Digest,
        config: ImageConfiguration,
        files: Vec<(String, Option<Digest>)>,
        wanted: Wanted<'_>,
    ) -> Result<Self, ImportError> {
        let digests = config.rootfs().diff_ids();
        if files.len() > wanted.bounds.layers {
            return Err(ImportError::Bound { what: "layers", limit: wanted.bounds.layers as u64 });
        }
        if digests.len() != files.len() {
            return Err(ImportError::Layers { layers: files.len(), digests: digests.len() });
        }
        let with = |((file, digest), content): ((String, Option<Digest>), &String)| {
            Ok(Layer { file, digest, content: sha256(content)? })
        };
        let layers = files.into_iter().zip(digests).map(with).collect::<Result<_, ImportError>>()?;
        Ok(Self { name: None, manifest: None, indexes: Vec::new(), id, config, layers })
    }
}

/// The platform that a configuration names.
pub(super) fn platform(config: &ImageConfiguration) -> String {
    show(format!("{}/{}", config.os(), config.architecture()).as_bytes())
}

/// The digest that is written `sha256:…`.
pub(super) fn sha256(text: &str) -> Result<Digest, ImportError> {
    let digits = text.strip_prefix("sha256:").and_then(|digits| digits.parse().ok());
    digits.ok_or_else(|| ImportError::Algorithm(show(text.as_bytes())))
}

/// Whether `bytes` have the digest that names them.
pub(super) fn matches(what: &str, bytes: &[u8], expected: Digest) -> Result<(), ImportError> {
    let found = Digest::of(bytes);
    let differs = || ImportError::Digest { what: format!("\"{}\"", show(what.as_bytes())), expected, found };
    if found == expected { Ok(()) } else { Err(differs()) }
}

/// A document as what it should be.
pub(super) fn parse<T: DeserializeOwned>(name: &str, what: &'static str, bytes: &[u8]) -> Result<T, ImportError> {
    serde_json::from_slice(bytes).map_err(|source| ImportError::Document { name: show(name.as_bytes()), what, source })
}

/// The only one, or what is wrong with the choice.
pub(super) fn only<T>(
    mut found: Vec<T>,
    wanted: Wanted<'_>,
    there: impl FnOnce() -> Vec<String>,
) -> Result<T, ImportError> {
    match (found.pop(), found.is_empty(), wanted.name) {
        (Some(one), true, _) => Ok(one),
        (Some(_), false, _) => Err(ImportError::Several { there: shown(there()) }),
        (None, _, Some(name)) => Err(ImportError::Unknown { wanted: show(name.as_bytes()), there: shown(there()) }),
        (None, _, None) => Err(ImportError::NoImage("its list of images is empty; save the image again")),
    }
}

/// Whether `name`, as the archive has it, is meant by the wanted one: `docker.io/library/gcc:14` by `gcc:14` too.
pub(super) fn means(name: &str, wanted: &str) -> bool {
    name == wanted || name.strip_suffix(wanted).is_some_and(|before| before.ends_with(['/', ':']))
}

/// Names for a message: the first few, each once.
fn shown(mut names: Vec<String>) -> Vec<String> {
    const SHOWN: usize = 12;
    names.sort();
    names.dedup();
    let more = names.len().checked_sub(SHOWN).filter(|more| *more > 0).map(|more| format!("and {more} more"));
    names.into_iter().take(SHOWN).map(|name| show(name.as_bytes())).chain(more).collect()
}

#[cfg(test)]
mod tests;
