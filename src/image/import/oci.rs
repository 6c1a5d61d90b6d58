//! OCI image layouts in an archive (OCI image specification 1.1, "Image Layout"): an index leads over manifests, and over
//! indexes for several platforms, to configurations and layers, each a blob that is named by its digest. Docker's own forms
//! of the same documents are read too.

use std::collections::HashSet;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType, ToDockerV2S2};

use crate::image::digest::Digest;
use crate::image::headers::show;
use crate::image::import::chosen::{Chosen, Wanted, matches, means, only, parse, platform, sha256};
use crate::image::import::error::ImportError;
use crate::image::import::saved::Saved;

const INDEX: &str = "index.json";

/// Where tools put the name of an image: the specification, and containerd.
const NAMES: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// How deep indexes stand in one another. Two are usual.
const DEPTH: usize = 4;

/// A manifest that an index leads to.
#[derive(Debug)]
struct Candidate {
    digest: Digest,
    name: Option<String>,
    indexes: Vec<Digest>,
}

/// All that was found on the way.
#[derive(Debug, Default)]
struct Found {
    candidates: Vec<Candidate>,
    names: Vec<String>,
    /// Of images for other machines.
    platforms: Vec<String>,
    seen: usize,
}

/// The image that is wanted.
pub(super) fn choose(saved: &Saved, wanted: Wanted<'_>) -> Result<Chosen, ImportError> {
    let document = saved.document(INDEX, "every archive of this form")?;
    let index: ImageIndex = parse(INDEX, "index of images", &document)?;
    let mut found = Found::default();
    found.gather(saved, wanted, &index, None, &[])?;
    let Found { candidates, names, mut platforms, .. } = found;
    let mut fitting: Vec<Chosen> = Vec::new();
    let mut tried = HashSet::new();
    for candidate in candidates {
        if !tried.insert(candidate.digest) {
            continue;
        }
        let (manifest, id, config) = documents(saved, candidate.digest)?;
        if platform(&config) != wanted.platform {
            platforms.push(platform(&config));
            continue;
        }
        let layers = manifest.layers().iter().map(|layer| {
            let digest = digest(layer)?;
            Ok((blob(digest), Some(digest)))
        });
        let chosen = Chosen::of(id, config, layers.collect::<Result<_, ImportError>>()?, wanted)?;
        let Candidate { digest, name, indexes } = candidate;
        fitting.push(Chosen { name, manifest: Some(digest), indexes, ..chosen });
    }
    platforms.sort();
    platforms.dedup();
    if fitting.is_empty() && !platforms.is_empty() {
        return Err(ImportError::Platform { wanted: wanted.platform.to_owned(), there: platforms });
    }
    only(fitting, wanted, || names)
}

impl Found {
    /// `name` is that of the index, whose parts have it too.
    fn gather(
        &mut self,
        saved: &Saved,
        wanted: Wanted<'_>,
        index: &ImageIndex,
        name: Option<&str>,
        above: &[Digest],
    ) -> Result<(), ImportError> {
        for descriptor in index.manifests() {
            self.seen += 1;
            let limit = wanted.bounds.descriptors;
            if self.seen > limit || above.len() >= DEPTH {
                return Err(ImportError::Bound { what: "manifests in its indexes", limit: limit as u64 });
            }
            let names = names(descriptor);
            self.names.extend(names.iter().cloned());
            let own = match wanted.name {
                None => names.first().cloned(),
                Some(wanted) => names.iter().find(|name| means(name, wanted)).cloned(),
            };
            let name = own.as_deref().or(name);
            // What lies below a name has it.
            if wanted.name.is_some() && name.is_none() {
                continue;
            }
            let digest = digest(descriptor)?;
            if is(descriptor, &MediaType::ImageIndex) {
                // Of an image for several platforms an archive may hold one, and what leads to the others all the same.
                if !saved.has(&blob(digest)) {
                    continue;
                }
                let inner: ImageIndex = named(saved, digest, "index of images")?;
                let path: Vec<Digest> = above.iter().copied().chain([digest]).collect();
                self.gather(saved, wanted, &inner, name, &path)?;
            } else if is(descriptor, &MediaType::ImageManifest) {
                let for_it = descriptor.platform().as_ref().map(|p| format!("{}/{}", p.os(), p.architecture()));
                let attested = for_it.as_deref() == Some("unknown/unknown");
                match for_it.filter(|there| there != wanted.platform) {
                    Some(_) if attested => {}
                    Some(there) => self.platforms.push(show(there.as_bytes())),
                    None if !saved.has(&blob(digest)) && !above.is_empty() => {}
                    None => {
                        let name = name.map(str::to_owned);
                        self.candidates.push(Candidate { digest, name, indexes: above.to_vec() });
                    }
                }
            }
        }
        Ok(())
    }
}

fn documents(saved: &Saved, digest: Digest) -> Result<(ImageManifest, Digest, ImageConfiguration), ImportError> {
    let manifest: ImageManifest = named(saved, digest, "manifest of an image")?;
    let id = self::digest(manifest.config())?;
    Ok((manifest, id, named(saved, id, "configuration of an image")?))
}

/// A document of this digest.
fn named<T: serde::de::DeserializeOwned>(saved: &Saved, digest: Digest, what: &'static str) -> Result<T, ImportError> {
    let name = blob(digest);
    let bytes = saved.document(&name, "its index or manifest")?;
    matches(&name, &bytes, digest)?;
    parse(&name, what, &bytes)
}

fn blob(digest: Digest) -> String {
    format!("blobs/sha256/{digest}")
}

fn digest(descriptor: &Descriptor) -> Result<Digest, ImportError> {
    sha256(descriptor.digest().as_ref())
}

fn is(descriptor: &Descriptor, kind: &MediaType) -> bool {
    let found = descriptor.media_type();
    found == kind || kind.to_docker_v2s2().is_ok_and(|docker| docker == found.as_ref())
}

fn names(descriptor: &Descriptor) -> Vec<String> {
    let annotations = descriptor.annotations().as_ref();
    NAMES.iter().filter_map(|key| annotations?.get(*key).cloned()).collect()
}
