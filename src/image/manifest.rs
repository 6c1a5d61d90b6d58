//! What is written down beside an image's tree: where it came from, what it holds, and the digests that pin it.

use serde::{Deserialize, Serialize};

use crate::image::digest::Digest;
use crate::image::import::Dropped;
use crate::model::Bytes;

/// The form of the manifest and of the listing beside it.
pub(super) const FORMAT: u32 = 1;

/// The manifest of an image, `manifest.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of the manifest's form.
    pub format: u32,
    /// Of the image.
    pub name: String,
    /// Of the recipe and of the builder that made it.
    pub recipe: Digest,
    /// Of the whole tree: path, type, mode, size, link target and content of every entry.
    pub tree: Digest,
    /// Of path, type, mode, size and time of change of every entry.
    pub quick: Digest,
    /// Of all regular files, hard links counted each.
    pub size: Bytes,
    /// How many regular files.
    pub files: u64,
    /// RFC 3339, UTC.
    pub built_at: String,
    /// What was installed when the tree was made, sorted by name.
    pub packages: Vec<Package>,
    /// Where an image that was not built here comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// What an imported image was made from. Its `recipe` is over the id, what was left out, and the importer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// What the archive called it, such as `python:3.9`.
    pub name: Option<String>,
    /// Such as `linux/amd64`.
    pub platform: String,
    /// Of the archive's file.
    pub archive: Digest,
    /// Of the image's manifest, where the archive had one.
    pub manifest: Option<Digest>,
    /// Of its configuration, which has those of the layers in it: the image's id.
    pub id: Digest,
    /// Of each layer without compression, the lowest first.
    pub layers: Vec<Digest>,
    /// The environment that it asks for.
    pub env: Vec<String>,
    /// What it would start: entry point and arguments.
    pub command: Vec<String>,
    /// Type and namespace of its packages' URLs, such as `deb/ubuntu`.
    pub ecosystem: Option<String>,
    /// Patterns that were asked for.
    pub left_out: Vec<String>,
    /// What its tree does not have.
    pub dropped: Dropped,
}

/// An installed Debian package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Such as `libc6`.
    pub name: String,
    /// Such as `amd64` or `all`.
    pub architecture: String,
    /// As dpkg writes it, with the epoch.
    pub version: String,
}

impl Package {
    /// The name that apt gives the package's archive in its cache: an epoch's colon becomes `%3a`.
    pub(super) fn archive_name(&self) -> String {
        format!("{}_{}_{}.deb", self.name, self.version.replace(':', "%3a"), self.architecture)
    }
}
