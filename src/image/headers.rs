//! Reads a tar stream entry by entry with every size bounded. Understands what GNU tar and mmdebstrap write (long names,
//! pax paths) and says what each entry asks for; deciding and writing is `extract`'s.
//!
//! The crate's own joining of long names is not used, because it reads a name of any length into memory.

use std::io::{self, Read};

use tar::{Archive, Entries, Entry, EntryType, PaxExtensions};

use crate::image::error::UnpackError;

/// The longest name or pax header that is read: well over `PATH_MAX` (4096) and over what xattr records add.
const MAX_EXTENSION: u64 = 64 << 10;

/// What an entry asks to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Directory,
    File,
    Symlink,
    HardLink,
    /// A device node or FIFO.
    Special,
    /// Any other type, or a file in pieces.
    Unknown,
}

/// One entry, its names put together.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) ask: Ask,
    pub(super) mode: u32,
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) mtime: u64,
}

/// The entries of a stream.
pub(super) struct Headers<'a, R: Read> {
    entries: Entries<'a, R>,
    last: String,
}

/// Long names found ahead of the entry that they belong to.
#[derive(Default)]
struct Ahead {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    foreign_size: bool,
}

impl<'a, R: Read> Headers<'a, R> {
    pub(super) fn new(archive: &'a mut Archive<R>) -> Result<Self, UnpackError> {
        let last = "its beginning".to_owned();
        match archive.entries() {
            Ok(entries) => Ok(Self { entries: entries.raw(true), last }),
            Err(source) => Err(UnpackError::Read { after: last, source }),
        }
    }

    /// The next entry and a reader of its content, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Header, Entry<'a, R>)>, UnpackError> {
        let mut ahead = Ahead::default();
        loop {
            let failed = |source| UnpackError::Read { after: self.last.clone(), source };
            let Some(mut entry) = self.entries.next().transpose().map_err(failed)? else { return Ok(None) };
            match entry.header().entry_type() {
                EntryType::GNULongName => ahead.path = Some(name(extension(&mut entry).map_err(failed)?)),
                EntryType::GNULongLink => ahead.link = Some(name(extension(&mut entry).map_err(failed)?)),
                EntryType::XHeader => ahead.read_pax(&extension(&mut entry).map_err(failed)?).map_err(failed)?,
                EntryType::XGlobalHeader => drop(extension(&mut entry).map_err(failed)?),
                kind => {
                    let header = ahead.complete(kind, &entry).map_err(failed)?;
                    self.last = show(&header.path);
                    return Ok(Some((header, entry)));
                }
            }
        }
    }
}

impl Ahead {
    fn read_pax(&mut self, data: &[u8]) -> io::Result<()> {
        for record in PaxExtensions::new(data) {
            let record = record?;
            match record.key_bytes() {
                b"path" => self.path = Some(record.value_bytes().to_vec()),
                b"linkpath" => self.link = Some(record.value_bytes().to_vec()),
                // Only for files of 8 GiB and more, and for files in pieces; no entry of ours is either.
                b"size" => self.foreign_size = true,
                key if key.starts_with(b"GNU.sparse") => self.foreign_size = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn complete<R: Read>(self, kind: EntryType, entry: &Entry<'_, R>) -> io::Result<Header> {
        let header = entry.header();
        let ask = match kind {
            _ if self.foreign_size => Ask::Unknown,
            EntryType::Directory => Ask::Directory,
            EntryType::Regular | EntryType::Continuous => Ask::File,
            EntryType::Symlink => Ask::Symlink,
            EntryType::Link => Ask::HardLink,
            EntryType::Char | EntryType::Block | EntryType::Fifo => Ask::Special,
            _ => Ask::Unknown,
        };
        Ok(Header {
            path: self.path.unwrap_or_else(|| header.path_bytes().into_owned()),
            link: self.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned)).unwrap_or_default(),
            ask,
            mode: header.mode()?,
            size: header.entry_size()?,
            mtime: header.mtime()?,
        })
    }
}

fn extension(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut data = Vec::new();
    entry.take(MAX_EXTENSION + 1).read_to_end(&mut data)?;
    if data.len() as u64 > MAX_EXTENSION {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a name of over {MAX_EXTENSION} bytes")));
    }
    Ok(data)
}

/// GNU tar ends a long name with a NUL.
fn name(mut data: Vec<u8>) -> Vec<u8> {
    if data.last() == Some(&0) {
        data.pop();
    }
    data
}

/// A name for a message: escaped, and cut where it would flood a terminal.
pub(super) fn show(name: &[u8]) -> String {
    const SHOWN: usize = 160;
    let cut = if name.len() > SHOWN { "…" } else { "" };
    format!("{}{cut}", name[..name.len().min(SHOWN)].escape_ascii())
}
