//! Unpacks mmdebstrap's tar stream into a directory, trusting it little.
//!
//! All is made by and for the calling user, directories 0755 and files 0644 or 0755: owners, set-user-id, set-group-id
//! and sticky bits in the archive are not looked at. Nothing is ever opened through a symbolic link, nothing is written
//! twice, no path leaves the directory, device nodes and FIFOs are passed over. Times are kept: Python's bytecode and
//! Java's class archive name the time of what they were made from.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::image::digest::Digest;
use crate::image::error::UnpackError;
use crate::image::headers::{Ask, Header, Headers, show};
use crate::image::leave_out::LeaveOut;
use crate::model::Bytes;
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};
use sha2::{Digest as _, Sha256};

/// The kernel's bounds: `NAME_MAX`, and `PATH_MAX` with its NUL (limits.h).
const MAX_NAME: usize = 255;
pub(super) const MAX_PATH: usize = 4095;
/// The largest image of ours has 10 000 entries and half a GiB; these are bounds against a stream that never ends.
const MAX_ENTRIES: u64 = 1_000_000;
const MAX_BYTES: u64 = 32 << 30;
pub(super) const MAX_STATUS: u64 = 64 << 20;
/// Where dpkg keeps its list of packages; left out of the tree, and read.
const STATUS: &[u8] = b"var/lib/dpkg/status";

pub(super) const DIRECTORY: Mode = Mode::from_raw_mode(0o755);
pub(super) const PROGRAM: Mode = Mode::from_raw_mode(0o755);
pub(super) const DATA: Mode = Mode::from_raw_mode(0o644);

/// What came out of a stream besides the tree.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    /// Of the content of every regular file, by its path relative to the tree.
    pub(super) contents: HashMap<Vec<u8>, Digest>,
    /// dpkg's status file, empty if the stream had none.
    pub(super) status: Vec<u8>,
    /// Times that directories get when all is written into them.
    pub(super) directories: BTreeMap<Vec<u8>, u64>,
    /// Entries in the tree.
    pub(super) entries: u64,
    /// In its regular files.
    pub(super) bytes: u64,
}

/// Unpacks `stream` into the empty directory `root`, calling `tell` with the counts so far now and then.
pub(super) fn unpack(
    stream: impl Read,
    root: BorrowedFd<'_>,
    leave_out: &LeaveOut,
    tell: &mut dyn FnMut(u64, Bytes),
) -> Result<Unpacked, UnpackError> {
    let mut headers = Headers::new(stream);
    let mut tree = Tree { root, done: Unpacked::default(), parent: None };
    let mut seen = 0;
    while let Some((header, mut content)) = headers.next()? {
        seen += 1;
        if seen > MAX_ENTRIES {
            return Err(UnpackError::TooLarge { limit: MAX_ENTRIES, unit: "entries" });
        }
        let parts = components(&header.path)?;
        if parts.is_empty() {
            continue;
        }
        if parts.join(&b'/') == STATUS && header.ask == Ask::File {
            tree.done.status = read_status(&header, &mut content)?;
        }
        if !leave_out.covers(&parts) {
            tree.make(&header, &parts, &mut content)?;
        }
        if seen % 64 == 0 {
            tell(tree.done.entries, Bytes(tree.done.bytes));
        }
    }
    tell(tree.done.entries, Bytes(tree.done.bytes));
    Ok(tree.done)
}

impl Unpacked {
    /// Gives directories their times, deepest first. To be called when nothing more will be written into the tree.
    pub(super) fn finish_times(&self, root: BorrowedFd<'_>) -> Result<(), UnpackError> {
        let failed = |path: &[u8]| {
            let path = show(path);
            move |errno: rustix::io::Errno| UnpackError::Write {
                operation: "set the time of",
                path,
                source: errno.into(),
            }
        };
        for (path, mtime) in self.directories.iter().rev() {
            rustix::fs::utimensat(root, path.as_slice(), &times(*mtime), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed(path))?;
        }
        rustix::fs::utimensat(root, c".", &times(0), AtFlags::SYMLINK_NOFOLLOW).map_err(failed(b"."))
    }
}

struct Tree<'a> {
    root: BorrowedFd<'a>,
    done: Unpacked,
    /// The directory that was opened last, because neighbours in an archive share it.
    parent: Option<(Vec<u8>, OwnedFd)>,
}

impl Tree<'_> {
    fn make(&mut self, header: &Header, parts: &[&[u8]], content: &mut impl Read) -> Result<(), UnpackError> {
        let path = parts.join(&b'/');
        let Some((name, above)) = parts.split_last() else { return Ok(()) };
        match header.ask {
            Ask::Special => return Ok(()),
            Ask::Unknown => return Err(refused(&path, "no Debian package has an entry of this type")),
            Ask::Directory => self.directory(&path, above, name, header.mtime)?,
            Ask::File => self.file(&path, above, name, header, content)?,
            Ask::Symlink => self.symlink(&path, above, name, header)?,
            Ask::HardLink => self.hard_link(&path, above, name, &header.link)?,
        }
        self.done.entries += 1;
        Ok(())
    }

    fn directory(&mut self, path: &[u8], above: &[&[u8]], name: &[u8], mtime: u64) -> Result<(), UnpackError> {
        let parent = self.open(above, path)?;
        make_directory(parent, name, path)?;
        self.done.directories.insert(path.to_vec(), mtime);
        Ok(())
    }

    fn file(
        &mut self,
        path: &[u8],
        above: &[&[u8]],
        name: &[u8],
        header: &Header,
        content: &mut impl Read,
    ) -> Result<(), UnpackError> {
        self.done.bytes = self.done.bytes.saturating_add(header.size);
        if self.done.bytes > MAX_BYTES {
            return Err(UnpackError::TooLarge { limit: MAX_BYTES, unit: "bytes" });
        }
        let mode = if header.mode & 0o111 == 0 { DATA } else { PROGRAM };
        let mut file = create(self.open(above, path)?, name, mode, path)?;
        let digest = write(content, &mut file, header, path)?;
        self.done.contents.insert(path.to_vec(), digest);
        Ok(())
    }

    /// The target is kept word for word: it means something only inside a container, and nothing here follows it.
    fn symlink(&mut self, path: &[u8], above: &[&[u8]], name: &[u8], header: &Header) -> Result<(), UnpackError> {
        if header.link.is_empty() || header.link.len() > MAX_PATH || header.link.contains(&0) {
            return Err(refused(path, "a symbolic link to an impossible name"));
        }
        let parent = self.open(above, path)?;
        let made = rustix::fs::symlinkat(header.link.as_slice(), parent, name)
            .and_then(|()| rustix::fs::utimensat(parent, name, &times(header.mtime), AtFlags::SYMLINK_NOFOLLOW));
        made.map_err(io::Error::from).map_err(written("make the symbolic link", path))
    }

    fn hard_link(&mut self, path: &[u8], above: &[&[u8]], name: &[u8], link: &[u8]) -> Result<(), UnpackError> {
        let to = components(link)?;
        let Some(content) = self.done.contents.get(&to.join(&b'/')).copied() else {
            return Err(refused(path, "a hard link to a file that is not in the image before it"));
        };
        // The map holds regular files only, so the last component is none but that file; those above are opened without
        // following links.
        let Some((old_name, old_above)) = to.split_last() else { return Err(refused(path, "a hard link to the root")) };
        let old = self.open(old_above, path)?.try_clone_to_owned().map_err(written("open the target of", path))?;
        let parent = self.open(above, path)?;
        rustix::fs::linkat(&old, *old_name, parent, name, AtFlags::empty())
            .map_err(io::Error::from)
            .map_err(written("make the hard link", path))?;
        self.done.contents.insert(path.to_vec(), content);
        Ok(())
    }

    /// Opens the directory `above`, component by component and never through a symbolic link; makes what is missing.
    fn open(&mut self, above: &[&[u8]], for_path: &[u8]) -> Result<BorrowedFd<'_>, UnpackError> {
        if above.is_empty() {
            return Ok(self.root);
        }
        let joined = above.join(&b'/');
        if self.parent.as_ref().is_none_or(|(path, _)| *path != joined) {
            let fd = open_beneath(self.root, above, for_path)?;
            self.parent = Some((joined, fd));
        }
        Ok(self.parent.as_ref().map_or(self.root, |(_, fd)| fd.as_fd()))
    }
}

/// Writes the content of `path` and gives the file its time. Where there are only zeros a hole is left.
pub(super) fn write(
    content: &mut impl Read,
    file: &mut File,
    header: &Header,
    path: &[u8],
) -> Result<Digest, UnpackError> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut left = header.size;
    while left > 0 {
        let read = content.read(&mut buffer).and_then(|count| match count {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        });
        let count = read.map_err(|source| UnpackError::Read { after: show(path), source })?;
        let bytes = &buffer[..count];
        hasher.update(bytes);
        let done = match bytes.iter().all(|&byte| byte == 0) {
            // Of at most the buffer's length.
            true => file.seek(SeekFrom::Current(i64::try_from(count).unwrap_or(0))).map(drop),
            false => file.write_all(bytes),
        };
        done.map_err(written("write", path))?;
        left = left.saturating_sub(count as u64);
    }
    file.set_len(header.size).map_err(written("write", path))?;
    rustix::fs::futimens(&*file, &times(header.mtime))
        .map_err(io::Error::from)
        .map_err(written("set the time of", path))?;
    Ok(Digest::finish(hasher))
}

pub(super) fn open_beneath(root: BorrowedFd<'_>, above: &[&[u8]], for_path: &[u8]) -> Result<OwnedFd, UnpackError> {
    let above_failed = |source: io::Error| UnpackError::Parent { path: show(for_path), source };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut current = root.try_clone_to_owned().map_err(above_failed)?;
    for name in above {
        let next = match rustix::fs::openat(&current, *name, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => {
                make_directory(current.as_fd(), name, for_path)?;
                rustix::fs::openat(&current, *name, flags, Mode::empty())
            }
            opened => opened,
        };
        current = next.map_err(|errno| above_failed(errno.into()))?;
    }
    Ok(current)
}

/// Makes the directory, or accepts the one that is there.
pub(super) fn make_directory(parent: BorrowedFd<'_>, name: &[u8], path: &[u8]) -> Result<(), UnpackError> {
    match rustix::fs::mkdirat(parent, name, DIRECTORY) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(errno) => return Err(written("make the directory", path)(errno.into())),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
        // Whatever the umask said.
        .and_then(|fd| rustix::fs::fchmod(&fd, DIRECTORY))
        .map_err(|errno| written("make the directory", path)(errno.into()))
}

/// Makes a file that must not be there yet, whatever it is.
pub(super) fn create(parent: BorrowedFd<'_>, name: &[u8], mode: Mode, path: &[u8]) -> Result<File, UnpackError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd =
        rustix::fs::openat(parent, name, flags, mode).map_err(|errno| written("make the file", path)(errno.into()))?;
    rustix::fs::fchmod(&fd, mode).map_err(|errno| written("set the mode of", path)(errno.into()))?;
    Ok(File::from(fd))
}

/// The components of a path of the archive. A leading `./` and single dots mean nothing; all else that is unusual is
/// refused.
pub(super) fn components(path: &[u8]) -> Result<Vec<&[u8]>, UnpackError> {
    let refused = |reason| UnpackError::Path { path: show(path), reason };
    if path.starts_with(b"/") {
        return Err(refused("absolute paths are not taken"));
    }
    if path.len() > MAX_PATH {
        return Err(refused("it is longer than 4095 bytes"));
    }
    if path.contains(&0) {
        return Err(refused("it has a NUL in it"));
    }
    let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&b"..".as_slice()) {
        return Err(refused("`..` is not taken"));
    }
    if parts.iter().any(|part| part.len() > MAX_NAME) {
        return Err(refused("a name in it is longer than 255 bytes"));
    }
    Ok(parts)
}

/// Reads the list of packages. The stream moves on past it, so it must not be wanted in the tree as well.
fn read_status(header: &Header, content: &mut impl Read) -> Result<Vec<u8>, UnpackError> {
    if header.size > MAX_STATUS {
        return Err(UnpackError::TooLarge { limit: MAX_STATUS, unit: "bytes of package list" });
    }
    let mut status = Vec::new();
    content.read_to_end(&mut status).map_err(|source| UnpackError::Read { after: show(&header.path), source })?;
    Ok(status)
}

pub(super) fn times(mtime: u64) -> Timestamps {
    // Beyond the year 292 billion a time is no time; such a header gets 1970.
    let time = Timespec { tv_sec: i64::try_from(mtime).unwrap_or(0), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

pub(super) fn refused(path: &[u8], reason: &'static str) -> UnpackError {
    UnpackError::Entry { path: show(path), reason }
}

pub(super) fn written(operation: &'static str, path: &[u8]) -> impl FnOnce(io::Error) -> UnpackError {
    let path = show(path);
    move |source| UnpackError::Write { operation, path, source }
}

#[cfg(test)]
mod tests;
