//! Root file systems of our own making: recipes, building, manifests, verification.
//!
//! An image is a directory tree made from Debian packages by mmdebstrap and unpacked by an extractor of ours that trusts
//! the stream little. It is pinned by a digest over the whole tree and never changes after it was built. This room knows
//! nothing of languages, containers or settings: callers hand it directories.

mod archives;
mod build;
mod cleanup;
mod digest;
mod error;
mod extract;
mod furnish;
mod headers;
mod images;
mod layout;
mod leave_out;
mod lock;
mod manifest;
mod mmdebstrap;
mod packages;
mod progress;
mod recipe;
mod sbom;
mod tree;

pub use build::BuildOptions;
pub use digest::Digest;
pub use error::{BuildError, ImageError, RecipeError, TreeError, UnpackError, VerifyError};
pub use images::{Image, Images};
pub use layout::{Kind, MOUNT_POINTS, MountPoint};
pub use manifest::{Manifest, Package};
pub use progress::{Event, Progress, Silent};
pub use recipe::{Recipe, Recipes};
pub use sbom::spdx;
