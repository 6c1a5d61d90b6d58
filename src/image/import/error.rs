//! What can be wrong with an archive. What was read in it is shown shortened and escaped; paths of the host are for the
//! terminal alone.

use std::io;

use crate::image::digest::Digest;
use crate::image::error::{BuildError, TreeError, UnpackError};

/// An archive was not imported. Nothing is left that would be taken for an image.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// An argument that is not allowed.
    #[error("{field} is \"{value}\": {remedy}")]
    Argument {
        /// Which.
        field: &'static str,
        /// What it was.
        value: String,
        /// What to write instead.
        remedy: &'static str,
    },
    /// The file cannot be read, or its compression is broken.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// The copy without compression cannot be written.
    #[error("cannot keep a copy of the archive beside the images")]
    Copy(#[source] io::Error),
    /// It is no tar archive, or breaks off.
    #[error("cannot read the archive as one that holds an image")]
    Archive(#[source] UnpackError),
    /// A tar archive of something else.
    #[error("the archive holds no image: {0}")]
    NoImage(&'static str),
    /// A file of the archive that is named and not there.
    #[error("the archive has no \"{name}\", which {by} names: save the image again")]
    Missing {
        /// In the archive.
        name: String,
        /// What names it.
        by: &'static str,
    },
    /// A document that is not what it should be.
    #[error("\"{name}\" in the archive is no {what}")]
    Document {
        /// In the archive.
        name: String,
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        source: serde_json::Error,
    },
    /// A digest of another kind than SHA-256.
    #[error("\"{0}\" in the archive is no digest that can be checked: only SHA-256 can")]
    Algorithm(String),
    /// Content that is not what its digest says.
    #[error("{what} has the digest sha256:{found} and not sha256:{expected}: the archive was changed or is damaged")]
    Digest {
        /// Of what.
        what: String,
        /// What its name or descriptor says.
        expected: Digest,
        /// What was read.
        found: Digest,
    },
    /// The digest that was asked for is none of this image's.
    #[error(
        "nothing here has the digest sha256:{wanted}: the archive has sha256:{archive}, the image in it {}",
        join(.there)
    )]
    Unexpected {
        /// What was asked for.
        wanted: Digest,
        /// Of the archive's file.
        archive: Digest,
        /// Of the image's indexes, manifest and configuration.
        there: Vec<String>,
    },
    /// No image for this machine.
    #[error("the archive has no image for {wanted}, which this machine needs; it has {}", join(.there))]
    Platform {
        /// Such as `linux/amd64`.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },
    /// No image of this name.
    #[error("the archive has no image \"{wanted}\"; it has {}", join(.there))]
    Unknown {
        /// What was asked for.
        wanted: String,
        /// What there is.
        there: Vec<String>,
    },
    /// Several images, and none was named.
    #[error("the archive has several images: name one of them with --image: {}", join(.there))]
    Several {
        /// What there is.
        there: Vec<String>,
    },
    /// More than any image may hold.
    #[error("the archive goes beyond a bound: more than {limit} {what}")]
    Bound {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        limit: u64,
    },
    /// As many digests of layers in the configuration as there are layers.
    #[error("the image has {layers} layers and its configuration digests of {digests}: save the image again")]
    Layers {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        digests: usize,
    },
    /// A layer that was refused or could not be unpacked.
    #[error("cannot unpack layer {number} of {of}")]
    Layer {
        /// From 1, the lowest.
        number: usize,
        /// How many there are.
        of: usize,
        /// Why.
        source: UnpackError,
    },
    /// What every image holds could not be put into the tree.
    #[error("cannot make an image of what the archive holds")]
    Furnish(#[source] UnpackError),
    /// The finished tree could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The image could not be put in its place.
    #[error(transparent)]
    Place(#[from] BuildError),
}

fn join(there: &[String]) -> String {
    if there.is_empty() { "none".to_owned() } else { there.join(", ") }
}
