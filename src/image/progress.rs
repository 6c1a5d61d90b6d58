//! What a build tells while it runs. Values only: who shows them, and how, is the caller's.

use std::time::Duration;

use crate::model::Bytes;

/// Something that happened while an image was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Another build holds the directory of images; this one waits its turn. Told once for all images.
    Waiting,
    /// The image was there already and is left as it is.
    Present,
    /// The build of this image began.
    Started,
    /// What mmdebstrap says it is doing, in its words.
    Step(String),
    /// The tree is being unpacked; counts so far, of what is kept.
    Unpacking {
        /// Files, directories and links.
        entries: u64,
        /// Their contents.
        bytes: Bytes,
    },
    /// The image is in place.
    Done {
        /// Of all files.
        size: Bytes,
        /// How many regular files.
        files: u64,
        /// Since `Started`.
        took: Duration,
    },
    /// The image could not be built; the error is the result of the build.
    Failed,
}

/// Is told of every event, from the thread that builds the image.
pub trait Progress: Sync {
    /// `image` is the recipe's name, empty for an event that concerns all.
    fn event(&self, image: &str, event: &Event);
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: &str, _: &Event) {}
}
