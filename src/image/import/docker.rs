//! Archives of `docker save` before it wrote OCI layouts, and of `podman save`: `manifest.json` names a configuration and
//! layers for each image.

use oci_spec::image::ImageConfiguration;
use serde::Deserialize;

use crate::image::digest::Digest;
use crate::image::import::chosen::{Chosen, Wanted, matches, means, only, parse, platform};
use crate::image::import::error::ImportError;
use crate::image::import::saved::Saved;

const MANIFEST: &str = "manifest.json";

/// One entry of `manifest.json`. There are more fields, of which nothing depends.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    /// Null for an image without a name.
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// The image that is wanted.
pub(super) fn choose(saved: &Saved, wanted: Wanted<'_>) -> Result<Chosen, ImportError> {
    let document = saved.document(MANIFEST, "every archive of this form")?;
    let entries: Vec<Entry> = parse(MANIFEST, "list of images as `docker save` writes it", &document)?;
    let names = |entry: &Entry| entry.repo_tags.clone().unwrap_or_default();
    let there = || entries.iter().flat_map(names).collect();
    let fits = |entry: &&Entry| wanted.name.is_none_or(|wanted| names(entry).iter().any(|name| means(name, wanted)));
    let entry = only(entries.iter().filter(fits).collect(), wanted, there)?;

    let text = saved.document(&entry.config, MANIFEST)?;
    let id = Digest::of(&text);
    // Its name is its digest, in one of two forms.
    let named = entry.config.strip_suffix(".json").or_else(|| entry.config.strip_prefix("blobs/sha256/"));
    if let Some(expected) = named.and_then(|digits| digits.parse().ok()) {
        matches(&entry.config, &text, expected)?;
    }
    let config: ImageConfiguration = parse(&entry.config, "configuration of an image", &text)?;
    if platform(&config) != wanted.platform {
        return Err(ImportError::Platform { wanted: wanted.platform.to_owned(), there: vec![platform(&config)] });
    }
    let files = entry.layers.iter().map(|file| (file.clone(), None)).collect();
    let chosen = Chosen::of(id, config, files, wanted)?;
    let name = names(entry).into_iter().find(|name| wanted.name.is_none_or(|wanted| means(name, wanted)));
    Ok(Chosen { name, ..chosen })
}
