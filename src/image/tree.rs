//! Walks the tree of an image and describes it entry by entry, in the order of the paths' bytes. Follows no link, writes
//! nothing.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use sha2::{Digest as _, Sha256};

use crate::image::digest::Digest;
use crate::image::error::TreeError;
use crate::image::headers::show;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    Directory,
    File,
    Symlink,
}

/// One entry, as stat(2) tells it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Relative to the root of the image; `.` is the root itself.
    pub(super) path: Vec<u8>,
    pub(super) kind: EntryKind,
    /// Permission bits, with set-user-id and its like.
    pub(super) mode: u32,
    /// Bytes of a file, length of a link's target; 0 for a directory, whose size is the file system's own affair.
    pub(super) size: u64,
    /// Seconds since 1970, and nanoseconds.
    mtime: (i64, u64),
}

/// Every entry, the root first.
pub(super) fn walk(root: BorrowedFd<'_>) -> Result<Vec<Entry>, TreeError> {
    let mut entries = Vec::new();
    let stat = rustix::fs::fstat(root).map_err(failed("look at", b"."))?;
    entries.push(Entry::new(b".".to_vec(), &stat)?);
    let top = reopen(root, b".", b".")?;
    descend(&top, b"", &mut entries)?;
    entries[1..].sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

fn descend(dir: &OwnedFd, prefix: &[u8], entries: &mut Vec<Entry>) -> Result<(), TreeError> {
    for found in Dir::read_from(dir).map_err(failed("list", prefix))? {
        let found = found.map_err(failed("list", prefix))?;
        let name = found.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let path = if prefix.is_empty() { name.to_vec() } else { [prefix, name].join(&b'/') };
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("look at", &path))?;
        let entry = Entry::new(path, &stat)?;
        if entry.kind == EntryKind::Directory {
            let below = reopen(dir.as_fd(), name, &entry.path)?;
            descend(&below, &entry.path, entries)?;
        }
        entries.push(entry);
    }
    Ok(())
}

fn reopen(dir: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<OwnedFd, TreeError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty()).map_err(failed("open", path))
}

impl Entry {
    fn new(path: Vec<u8>, stat: &rustix::fs::Stat) -> Result<Self, TreeError> {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => EntryKind::Directory,
            FileType::RegularFile => EntryKind::File,
            FileType::Symlink => EntryKind::Symlink,
            _ => return Err(TreeError::Kind { path: show(&path) }),
        };
        let size = if kind == EntryKind::Directory { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) };
        let mtime = (stat.st_mtime, stat.st_mtime_nsec);
        Ok(Self { path, kind, mode: stat.st_mode & 0o7777, size, mtime })
    }

    fn letter(&self) -> char {
        match self.kind {
            EntryKind::Directory => 'd',
            EntryKind::File => 'f',
            EntryKind::Symlink => 'l',
        }
    }
}

/// A digest over what stat(2) says of every entry: as cheap as a walk, and blind to a change that keeps size and time.
pub(super) fn quick_digest(entries: &[Entry]) -> Digest {
    let mut hasher = Sha256::new();
    let mut line = Vec::new();
    for entry in entries {
        line.clear();
        line.extend_from_slice(entry.path.as_slice());
        line.push(0);
        line.push(entry.letter() as u8);
        line.extend_from_slice(&entry.mode.to_le_bytes());
        line.extend_from_slice(&entry.size.to_le_bytes());
        line.extend_from_slice(&entry.mtime.0.to_le_bytes());
        line.extend_from_slice(&entry.mtime.1.to_le_bytes());
        hasher.update(&line);
    }
    Digest::finish(hasher)
}

/// The listing whose SHA-256 is the digest of the whole tree: a line for each entry with type, mode, size, the content's
/// digest or the link's target, and path, between tabs, escaped as in Rust's byte strings. Contents that are not in
/// `known` are read.
pub(super) fn listing(
    root: BorrowedFd<'_>,
    entries: &[Entry],
    known: &HashMap<Vec<u8>, Digest>,
) -> Result<String, TreeError> {
    let mut text = String::with_capacity(entries.len() * 160);
    for entry in entries {
        let content = match entry.kind {
            EntryKind::Directory => "-".to_owned(),
            EntryKind::File => match known.get(&entry.path) {
                Some(digest) => digest.to_string(),
                None => hash(root, &entry.path)?.to_string(),
            },
            EntryKind::Symlink => target(root, &entry.path)?.escape_ascii().to_string(),
        };
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "{}\t{:04o}\t{}\t{content}\t{}",
            entry.letter(),
            entry.mode,
            entry.size,
            entry.path.escape_ascii()
        );
    }
    Ok(text)
}

fn hash(root: BorrowedFd<'_>, path: &[u8]) -> Result<Digest, TreeError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(root, path, flags, Mode::empty()).map_err(failed("open", path))?);
    let mut hasher = Sha256::new();
    io::copy(&mut file, &mut HashWriter(&mut hasher)).map_err(|source| TreeError::Read {
        operation: "read",
        path: show(path),
        source,
    })?;
    Ok(Digest::finish(hasher))
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn target(root: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<u8>, TreeError> {
    let target = rustix::fs::readlinkat(root, path, Vec::new()).map_err(failed("read the link", path))?;
    Ok(target.into_bytes())
}

/// The path and the kind of difference at the first line in which two listings differ.
pub(super) fn first_difference(expected: &str, found: &str) -> Option<(String, &'static str)> {
    let path = |line: &str| line.rsplit('\t').next().unwrap_or_default().to_owned();
    let (mut wanted, mut seen) = (expected.lines(), found.lines());
    loop {
        return match (wanted.next(), seen.next()) {
            (None, None) => None,
            (Some(a), Some(b)) if a == b => continue,
            (Some(a), None) => Some((path(a), "is missing")),
            (None, Some(b)) => Some((path(b), "was added")),
            (Some(a), Some(b)) if path(a) == path(b) => Some((path(a), kind_of_difference(a, b))),
            // Lines are sorted by the unescaped path, so a path that is nowhere in the other listing tells which it is.
            (Some(a), Some(b)) => match found.lines().any(|line| path(line) == path(a)) {
                true => Some((path(b), "was added")),
                false => Some((path(a), "is missing")),
            },
        };
    }
}

fn kind_of_difference(expected: &str, found: &str) -> &'static str {
    let words = ["has another type", "has another mode", "has another size", "has another content"];
    let differs = expected.split('\t').zip(found.split('\t')).zip(words).find(|((a, b), _)| a != b);
    differs.map_or("differs", |(_, word)| word)
}

fn failed(operation: &'static str, path: &[u8]) -> impl FnOnce(rustix::io::Errno) -> TreeError {
    let path = show(path);
    move |errno| TreeError::Read { operation, path, source: errno.into() }
}
