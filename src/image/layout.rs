//! What every image holds whatever its packages are: the places that a container mounts over, and the few files that
//! would otherwise come from the machine that built it.

/// What a mount point is in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An empty directory.
    Directory,
    /// An empty regular file.
    File,
}

/// A place in every image that a container may mount over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountPoint {
    /// Absolute, inside the image.
    pub path: &'static str,
    /// What is there.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
}

const fn directory(path: &'static str) -> MountPoint {
    MountPoint { path, kind: Kind::Directory, mode: 0o755 }
}

/// Every place that a container mounts over, parents first. The root is read-only in a container and the runtime cannot
/// make a missing one.
pub const MOUNT_POINTS: &[MountPoint] = &[
    directory("/proc"),
    directory("/sys"),
    directory("/dev"),
    // runc gives a tmpfs the mode of the place that it covers, whatever its options say.
    MountPoint { path: "/tmp", kind: Kind::Directory, mode: 0o1777 },
    directory("/code"),
    directory("/casemate"),
    // Process 1 of a container is bound here; a mount point of a file is a file.
    MountPoint { path: "/casemate/init", kind: Kind::File, mode: 0o755 },
];

/// Files that are the same in every image, mode 0644: the accounts that a job can see, and names without a network. What
/// the packages put there is left out.
pub(super) const FIXED_FILES: &[(&str, &str)] = &[
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/usr/sbin/nologin\n\
         job:x:1000:1000:job:/tmp:/bin/sh\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("/etc/group", "root:x:0:\njob:x:1000:\nnogroup:x:65534:\n"),
    (
        "/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\nprotocols: files\n",
    ),
    // So that a program can name itself; nothing of the host's.
    ("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
];
