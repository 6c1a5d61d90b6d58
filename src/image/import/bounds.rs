//! How much of everything an archive may hold. Far above any image that people run, and there so that one that was made to
//! harm ends in an error and not in a full disk or memory.

/// The bounds of one import.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Files in the archive itself.
    pub(super) files: usize,
    /// Bytes of one JSON document in it.
    pub(super) document: u64,
    /// Descriptors in all its indexes together.
    pub(super) descriptors: usize,
    /// Layers of the image; Docker takes 127.
    pub(super) layers: usize,
    /// Entries of all layers together.
    pub(super) entries: u64,
    /// Bytes of all files of all layers together, holes and what later layers replace included.
    pub(super) bytes: u64,
    /// Bytes that the archive, or all its layers, have without compression.
    pub(super) stream: u64,
    /// Bytes of all names and targets of links in the tree: they are held in memory.
    pub(super) names: u64,
    /// Directories above an entry; whoever removes the tree holds each of them open.
    pub(super) depth: usize,
    /// How many times as large as compressed, beyond the first `free` bytes.
    pub(super) ratio: u64,
    /// So many bytes may come of however few.
    pub(super) free: u64,
}

impl Bounds {
    /// Those in force.
    pub(super) const IN_FORCE: Self = Self {
        files: 10_000,
        document: 4 << 20,
        descriptors: 10_000,
        layers: 128,
        entries: 1_000_000,
        bytes: 32 << 30,
        stream: 64 << 30,
        names: 64 << 20,
        depth: 128,
        ratio: 200,
        free: 64 << 20,
    };
}
