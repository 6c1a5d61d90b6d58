//! Root file systems that jobs run in: recipes, building, importing, manifests, verification.
//!
//! An image is a directory tree made from Debian packages by mmdebstrap and unpacked by an extractor of ours that trusts
//! the stream little, or one that was made elsewhere and is imported from an archive, which is trusted less. It is pinned
//! by a digest over the whole tree and never changes after it was made. This room knows nothing of languages, containers or
//! settings: callers hand it directories.

mod archives;
mod build;
mod cleanup;
mod digest;
mod error;
mod extract;
mod furnish;
mod headers;
mod images;
mod import;
mod install;
mod layout;
mod leave_out;
mod lock;
mod manifest;
mod mmdebstrap;
mod packages;
mod pieces;
mod progress;
mod recipe;
mod sbom;
mod tree;

pub use build::BuildOptions;
pub use digest::{Digest, NotADigest};
pub use error::{BuildError, ImageError, RecipeError, TreeError, UnpackError, VerifyError};
pub use images::{Image, Images};
pub use import::{Dropped, Import, ImportError};
pub use layout::{Kind, MOUNT_POINTS, MountPoint};
pub use manifest::{Manifest, Package, Source};
pub use progress::{Event, Progress, Silent};
pub use recipe::{Recipe, Recipes};
pub use sbom::spdx;
