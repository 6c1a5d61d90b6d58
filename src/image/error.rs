//! What can go wrong with recipes and images, a variant for each operation. The paths in these are the host's: they are
//! for the log and the terminal, never for a client.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

/// A recipe that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The directory of recipes exists and cannot be listed.
    #[error("cannot list the recipes in {}", dir.display())]
    List {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A recipe cannot be read.
    #[error("cannot read the recipe {file}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// Not TOML, an unknown key, a missing key or a value of the wrong type.
    #[error("{file}: {message}")]
    Parse {
        /// The file.
        file: String,
        /// The parser's words, with the line.
        message: String,
    },
    /// A value that is not allowed.
    #[error("{file}: {field} is \"{value}\": {remedy}")]
    Field {
        /// The file.
        file: String,
        /// The key.
        field: &'static str,
        /// What was found there.
        value: String,
        /// What to write instead.
        remedy: &'static str,
    },
}

/// A tar stream that was refused, or could not be written to disk.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The stream ends early or is no tar archive.
    #[error("cannot read the archive after {after}")]
    Read {
        /// The last path that was complete.
        after: String,
        /// Why.
        source: io::Error,
    },
    /// An absolute path, a `..`, a NUL, or a name beyond what a file system takes.
    #[error("refused the path \"{path}\": {reason}")]
    Path {
        /// As in the archive, shortened and escaped.
        path: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// An entry of a type that is not taken, or one that asks for something impossible.
    #[error("refused \"{path}\": {reason}")]
    Entry {
        /// As in the archive, shortened and escaped.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The archive holds more than any image of ours may.
    #[error("the archive holds more than {limit} {unit}")]
    TooLarge {
        /// The bound.
        limit: u64,
        /// Bytes or entries.
        unit: &'static str,
    },
    /// The parent of the path is a symbolic link, a file, or cannot be opened.
    #[error("cannot open the directory above \"{path}\" without following links")]
    Parent {
        /// As in the archive.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Writing to disk failed.
    #[error("cannot {operation} \"{path}\"")]
    Write {
        /// What was tried.
        operation: &'static str,
        /// As in the archive.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// A tree on disk that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A system call failed.
    #[error("cannot {operation} \"{path}\" in the image")]
    Read {
        /// What was tried.
        operation: &'static str,
        /// Relative to the root of the image.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Something that no image of ours holds.
    #[error("\"{path}\" in the image is neither a file, a directory nor a symbolic link")]
    Kind {
        /// Relative to the root of the image.
        path: String,
    },
}

/// The directory of images, or an image in it, cannot be used as it is.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file or directory of an image, or the directory of all images, cannot be read or made.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On the host.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The manifest is not what a build writes.
    #[error("the manifest {} is damaged; build or import the image again", path.display())]
    Manifest {
        /// On the host.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The manifest belongs to another image or another recipe.
    #[error("the manifest {} does not belong to this image; build or import the image again", path.display())]
    Foreign {
        /// On the host.
        path: PathBuf,
    },
}

/// The command that makes an image anew.
fn anew(name: &str, imported: bool) -> String {
    match imported {
        true => format!("`casemate image import {name} ARCHIVE`"),
        false => format!("`casemate image build --rebuild {name}`"),
    }
}

/// An image that is not what was built or imported.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The cheap look at sizes, modes and times found a difference.
    #[error("the image {name} was changed after it was made: `casemate image verify {name}` names the place, {} makes it anew", anew(name, *.imported))]
    Touched {
        /// Of the image.
        name: String,
        /// Whether it was imported and not built.
        imported: bool,
    },
    /// The first place at which the tree differs.
    #[error("the image {name} differs from what was made: \"{path}\" {difference}; {} makes it anew", anew(name, *.imported))]
    Differs {
        /// Of the image.
        name: String,
        /// Relative to the root of the image.
        path: String,
        /// In which way.
        difference: &'static str,
        /// Whether it was imported and not built.
        imported: bool,
    },
    /// The listing of the tree is not the one whose digest is in the manifest.
    #[error("the listing of the image {name} does not have the digest of its manifest; {} makes it anew", anew(name, *.imported))]
    Listing {
        /// Of the image.
        name: String,
        /// Whether it was imported and not built.
        imported: bool,
    },
    /// The tree could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A file beside the tree could not be read.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// An image could not be built or put in its place. Nothing is left that would be taken for one.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Images are built by an ordinary user.
    #[error("refused to build images as root: become the account that will serve first")]
    AsRoot,
    /// mmdebstrap is not installed.
    #[error("mmdebstrap is not installed (no {} in PATH): install the packages mmdebstrap and uidmap", program.display())]
    NoMmdebstrap {
        /// What was looked for.
        program: PathBuf,
    },
    /// mmdebstrap could not be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// What was started.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// mmdebstrap said that it failed.
    #[error("mmdebstrap could not make the image {name} ({status}); its last words:\n{tail}")]
    Mmdebstrap {
        /// Of the image.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its stderr.
        tail: String,
    },
    /// The stream was refused or could not be unpacked.
    #[error("cannot unpack the image {name}")]
    Unpack {
        /// Of the image.
        name: String,
        /// Why.
        source: UnpackError,
    },
    /// The stream had no list of packages in it.
    #[error("mmdebstrap delivered no list of packages for the image {name}: the archive is incomplete")]
    NoPackages {
        /// Of the image.
        name: String,
    },
    /// A file system operation of the build failed.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On the host.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The finished tree could not be read.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The finished image could not be opened, or the directory of images could not be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// An image that a server is using would be replaced or removed.
    #[error("the image {name} is in use: stop the server that uses it, then type this again")]
    InUse {
        /// Of the image.
        name: String,
    },
    /// The thread that built the image ended without a result.
    #[error("the build of the image {name} broke off")]
    BrokeOff {
        /// Of the image.
        name: String,
    },
}
