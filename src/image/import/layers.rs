//! Unpacks layers over one another into one tree, trusting them little.
//!
//! What holds for packages (`extract`) holds here: all is made by and for the calling user, directories 0755 and files
//! 0644 or 0755; owners, set-user-id and its like, and extended attributes, file capabilities among them, are not looked
//! at; device nodes and FIFOs are passed over; nothing is opened through a symbolic link. A layer may lead a path through a
//! link of the image: it is followed in the tree as it is known (`merged`), never by the kernel.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, unlinkat};
use serde::{Deserialize, Serialize};

use crate::image::error::UnpackError;
use crate::image::extract::{
    DATA, MAX_PATH, PROGRAM, Unpacked, components, create, make_directory, open_beneath, refused, times, write, written,
};
use crate::image::headers::{Ask, Header, Headers};
use crate::image::import::bounds::Bounds;
use crate::image::import::merged::{Gone, Kind, Merged};
use crate::image::leave_out::LeaveOut;
use crate::model::Bytes;

/// How a name begins that takes another away, and the one that takes away all of lower layers beside it.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Notes of AUFS to itself, which Docker used to pass on.
const NOTES: &[u8] = b".wh..wh.";

/// What an image brought that its tree does not have, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// Device nodes and FIFOs.
    pub devices: u64,
    /// Files with a set-user-id or set-group-id bit, which is gone.
    pub set_id: u64,
    /// Entries with extended attributes, such as file capabilities, which are gone.
    pub xattrs: u64,
    /// Entries that no image has here, or that were asked to be left out.
    pub left_out: u64,
}

/// The tree while layers are unpacked into it.
pub(super) struct Layers<'a> {
    root: BorrowedFd<'a>,
    leave_out: &'a LeaveOut,
    bounds: Bounds,
    pub(super) merged: Merged,
    pub(super) dropped: Dropped,
    /// From 1.
    layer: usize,
    entries: u64,
    bytes: u64,
    /// The directory that was opened last.
    parent: Option<(Vec<u8>, OwnedFd)>,
}

impl<'a> Layers<'a> {
    /// `root` is an empty directory.
    pub(super) fn new(root: BorrowedFd<'a>, leave_out: &'a LeaveOut, bounds: Bounds) -> Self {
        let (merged, dropped) = (Merged::new(bounds), Dropped::default());
        Self { root, leave_out, bounds, merged, dropped, layer: 0, entries: 0, bytes: 0, parent: None }
    }

    /// Unpacks the next layer, to the end of the stream. `tell` has the counts so far.
    pub(super) fn add(&mut self, stream: impl Read, tell: &mut dyn FnMut(u64, Bytes)) -> Result<(), UnpackError> {
        self.layer += 1;
        let mut headers = Headers::new(stream);
        while let Some((header, mut content)) = headers.next()? {
            self.entries += 1;
            if self.entries > self.bounds.entries {
                return Err(UnpackError::TooLarge { limit: self.bounds.entries, unit: "entries" });
            }
            let parts = components(&header.path)?;
            if !parts.is_empty() {
                self.entry(&header, &parts, &mut content)?;
            }
            if self.entries.is_multiple_of(64) {
                tell(self.entries, Bytes(self.bytes));
            }
        }
        headers.drain()
    }

    /// What is in the tree now, for whoever writes it down.
    pub(super) fn unpacked(&self) -> Unpacked {
        let mut unpacked = Unpacked { entries: self.entries, bytes: self.bytes, ..Unpacked::default() };
        for (path, kind) in self.merged.iter() {
            match kind {
                Kind::File(digest) => drop(unpacked.contents.insert(path.to_vec(), *digest)),
                Kind::Directory(mtime) => drop(unpacked.directories.insert(path.to_vec(), *mtime)),
                Kind::Symlink(_) => {}
            }
        }
        unpacked
    }

    fn entry(&mut self, header: &Header, parts: &[&[u8]], content: &mut impl Read) -> Result<(), UnpackError> {
        let Some((name, above)) = parts.split_last() else { return Ok(()) };
        if parts.iter().any(|part| part.starts_with(NOTES) && *part != OPAQUE) {
            return Ok(());
        }
        if above.iter().any(|part| part.starts_with(WHITEOUT)) {
            return Err(refused(&header.path, "it lies in something that is taken away"));
        }
        if *name == OPAQUE {
            let within = if above.is_empty() { Vec::new() } else { self.merged.resolve(above)? };
            let gone = self.merged.hide(&within, true, self.layer);
            return self.delete(&gone);
        }
        if let Some(taken) = name.strip_prefix(WHITEOUT) {
            if matches!(taken, b"" | b"." | b"..") {
                return Err(refused(&header.path, "it takes nothing away that has a name"));
            }
            let path = self.merged.resolve(&[above, &[taken]].concat())?;
            let gone = self.merged.hide(&path, false, self.layer);
            return self.delete(&gone);
        }
        let path = self.merged.resolve(parts)?;
        if self.leave_out.covers(&path.split(|&byte| byte == b'/').collect::<Vec<_>>()) {
            self.dropped.left_out += 1;
            return Ok(());
        }
        self.make(header, &path, content)
    }

    fn make(&mut self, header: &Header, path: &[u8], content: &mut impl Read) -> Result<(), UnpackError> {
        match header.ask {
            Ask::Special => {
                self.dropped.devices += 1;
                return Ok(());
            }
            Ask::Unknown => return Err(refused(path, "no layer has an entry of this type")),
            _ => {}
        }
        let gone = self.merged.replace(path, header.ask == Ask::Directory);
        self.delete(&gone)?;
        let kind = match header.ask {
            Ask::Directory => self.directory(path, header)?,
            Ask::Symlink => self.symlink(path, &header.link, header.mtime)?,
            Ask::HardLink => self.hard_link(path, header)?,
            _ => self.file(path, header, content)?,
        };
        self.dropped.set_id += u64::from(header.ask == Ask::File && header.mode & 0o6000 != 0);
        self.dropped.xattrs += u64::from(header.xattrs);
        self.merged.insert(path, self.layer, kind)
    }

    fn directory(&mut self, path: &[u8], header: &Header) -> Result<Kind, UnpackError> {
        let (parent, name) = self.above(path)?;
        make_directory(parent, name, path)?;
        Ok(Kind::Directory(header.mtime))
    }

    fn file(&mut self, path: &[u8], header: &Header, content: &mut impl Read) -> Result<Kind, UnpackError> {
        self.bytes = self.bytes.saturating_add(header.size);
        if self.bytes > self.bounds.bytes {
            return Err(UnpackError::TooLarge { limit: self.bounds.bytes, unit: "bytes" });
        }
        let mode = if header.mode & 0o111 == 0 { DATA } else { PROGRAM };
        let (parent, name) = self.above(path)?;
        let mut file = create(parent, name, mode, path)?;
        Ok(Kind::File(write(content, &mut file, header, path)?))
    }

    /// The target is kept word for word: it means something only inside a container.
    fn symlink(&mut self, path: &[u8], target: &[u8], mtime: u64) -> Result<Kind, UnpackError> {
        if target.is_empty() || target.len() > MAX_PATH || target.contains(&0) {
            return Err(refused(path, "a symbolic link to an impossible name"));
        }
        let (parent, name) = self.above(path)?;
        let made = rustix::fs::symlinkat(target, parent, name)
            .and_then(|()| rustix::fs::utimensat(parent, name, &times(mtime), AtFlags::SYMLINK_NOFOLLOW));
        made.map_err(|errno| written("make the symbolic link", path)(errno.into()))?;
        Ok(Kind::Symlink(target.to_vec()))
    }

    /// To a file of this layer or of one below it, as the tree is now.
    fn hard_link(&mut self, path: &[u8], header: &Header) -> Result<Kind, UnpackError> {
        let to = components(&header.link)?;
        let to = self.merged.resolve(&to)?;
        let kind = match self.merged.get(&to).cloned() {
            // Linux links them too, and nobody can tell.
            Some(Kind::Symlink(target)) => return self.symlink(path, &target, header.mtime),
            Some(kind @ Kind::File(_)) => kind,
            _ => return Err(refused(path, "a hard link to a file that is not in the image before it")),
        };
        let (old_parent, old_name) = self.above(&to)?;
        let (old_parent, old_name) = (old_parent.try_clone_to_owned(), old_name.to_vec());
        let old_parent = old_parent.map_err(written("open the target of", path))?;
        let (parent, name) = self.above(path)?;
        rustix::fs::linkat(&old_parent, old_name.as_slice(), parent, name, AtFlags::empty())
            .map_err(|errno| written("make the hard link", path)(errno.into()))?;
        Ok(kind)
    }

    fn delete(&mut self, gone: &[Gone]) -> Result<(), UnpackError> {
        for Gone { path, directory } in gone {
            let flags = if *directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            let (parent, name) = self.above(path)?;
            unlinkat(parent, name, flags).map_err(|errno| written("remove", path)(errno.into()))?;
            if *directory {
                self.parent = None;
            }
        }
        Ok(())
    }

    /// The directory of `path`, opened component by component and never through a link, and the name in it.
    fn above<'p>(&mut self, path: &'p [u8]) -> Result<(BorrowedFd<'_>, &'p [u8]), UnpackError> {
        let Some(slash) = path.iter().rposition(|&byte| byte == b'/') else { return Ok((self.root, path)) };
        let (above, name) = (&path[..slash], &path[slash + 1..]);
        if self.parent.as_ref().is_none_or(|(open, _)| open != above) {
            let parts: Vec<&[u8]> = above.split(|&byte| byte == b'/').collect();
            self.parent = Some((above.to_vec(), open_beneath(self.root, &parts, path)?));
        }
        Ok((self.parent.as_ref().map_or(self.root, |(_, fd)| fd.as_fd()), name))
    }
}

#[cfg(test)]
mod tests;
