//! Reads a tar stream entry by entry with every size bounded. Understands what GNU tar, mmdebstrap and the tools that make
//! layers write: long names, pax records, sizes beyond 8 GiB, files in pieces. Says what each entry asks for; deciding
//! and writing is left to others.
//!
//! Fields are read by the `tar` crate. Its own walk over the entries is not used: it reads a name of any length into memory,
//! and it parts pax records at line ends, which the value of a file capability may hold.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Read};

use tar::EntryType;

use crate::image::error::UnpackError;
use crate::image::pieces::{self, Piece};

/// What everything in an archive begins and is padded at.
pub(super) const BLOCK: u64 = 512;

/// The longest name that is read: well over `PATH_MAX` (4096).
const MAX_NAME: u64 = 64 << 10;

/// The longest pax header that is read: a few extended attributes, each of at most 64 KiB (xattr(7)).
const MAX_PAX: u64 = 1 << 20;

/// What an entry asks to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Directory,
    File,
    Symlink,
    HardLink,
    /// A device node or FIFO.
    Special,
    /// Any other type.
    Unknown,
}

/// One entry, its names put together.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) ask: Ask,
    pub(super) mode: u32,
    /// Of the content, holes included.
    pub(super) size: u64,
    /// Seconds since 1970.
    pub(super) mtime: u64,
    /// Whether the entry brings extended attributes.
    pub(super) xattrs: bool,
    /// Where the content begins in the stream.
    pub(super) at: u64,
    /// Whether the content has holes, so that it is not in the stream as it is.
    pub(super) in_pieces: bool,
}

/// The entries of a stream.
pub(super) struct Headers<R> {
    stream: R,
    /// How much of the stream was read.
    at: u64,
    /// What is left of the entry at hand, padding included.
    left: u64,
    last: String,
}

/// What stands ahead of the entry that it belongs to.
#[derive(Default)]
struct Ahead {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    mtime: Option<u64>,
    xattrs: bool,
    pieces: pieces::Told,
}

impl<R: Read> Headers<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, at: 0, left: 0, last: "its beginning".to_owned() }
    }

    /// The next entry and a reader of its content, or `None` at the end. What was not read of the last content is passed
    /// over.
    pub(super) fn next(&mut self) -> Result<Option<(Header, Content<'_, R>)>, UnpackError> {
        match self.entry() {
            Ok(None) => Ok(None),
            Ok(Some((header, pieces))) => {
                self.last = show(&header.path);
                let size = header.size;
                Ok(Some((header, Content { of: self, pieces, at: 0, size })))
            }
            Err(source) => Err(UnpackError::Read { after: self.last.clone(), source }),
        }
    }

    /// Reads on to the end of the stream, through what pads the archive.
    pub(super) fn drain(mut self) -> Result<(), UnpackError> {
        let drained = self.pass(self.left).and_then(|()| io::copy(&mut self.stream, &mut io::sink()));
        drained.map(drop).map_err(|source| UnpackError::Read { after: self.last, source })
    }

    fn entry(&mut self) -> io::Result<Option<(Header, VecDeque<Piece>)>> {
        let mut ahead = Ahead::default();
        loop {
            self.pass(self.left)?;
            let Some(block) = self.block()? else { return Ok(None) };
            let header = tar::Header::from_byte_slice(&block);
            if header.cksum()? != checksum(&block) {
                return Err(invalid("a header whose checksum is wrong".to_owned()));
            }
            let size = header.entry_size()?;
            self.left = padded(size)?;
            match header.entry_type() {
                EntryType::GNULongName => ahead.path = Some(name(self.extension(size, MAX_NAME)?)),
                EntryType::GNULongLink => ahead.link = Some(name(self.extension(size, MAX_NAME)?)),
                EntryType::XHeader => ahead.read_pax(&self.extension(size, MAX_PAX)?)?,
                EntryType::XGlobalHeader => drop(self.extension(size, MAX_PAX)?),
                _ => return self.complete(header, size, ahead).map(Some),
            }
        }
    }

    fn complete(&mut self, header: &tar::Header, size: u64, ahead: Ahead) -> io::Result<(Header, VecDeque<Piece>)> {
        let kind = header.entry_type();
        let stored = ahead.size.unwrap_or(size);
        let path = ahead.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let mut ask = match kind {
            EntryType::Directory => Ask::Directory,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Ask::File,
            EntryType::Symlink => Ask::Symlink,
            EntryType::Link => Ask::HardLink,
            EntryType::Char | EntryType::Block | EntryType::Fifo => Ask::Special,
            _ => Ask::Unknown,
        };
        // Before there was a type for directories a name that ends so was one (tar(5)).
        if kind == EntryType::Regular && path.ends_with(b"/") {
            ask = Ask::Directory;
        }
        self.left = padded(stored)?;
        let (name, pieces, real) = match (ask, header.as_gnu().filter(|_| kind == EntryType::GNUSparse)) {
            (Ask::File, Some(gnu)) => {
                let mut told = pieces::of_header(gnu)?;
                let mut more = gnu.is_extended();
                while more {
                    more = pieces::of_block(&self.whole_block()?, &mut told)?;
                }
                (None, told, Some(gnu.real_size()?))
            }
            (Ask::File, None) if ahead.pieces.any() => {
                let (name, real) = (ahead.pieces.name.clone(), ahead.pieces.real()?);
                (name, ahead.pieces.read(self)?, Some(real))
            }
            // Links and directories have no content, whatever their headers say of a size; it is passed over.
            (Ask::File, None) => (None, VecDeque::from([Piece { at: 0, size: stored }]), None),
            _ => (None, VecDeque::new(), Some(0)),
        };
        let size = real.unwrap_or(stored);
        if ask == Ask::File {
            pieces::check(&pieces, size, self.left)?;
        }
        let header = Header {
            path: name.unwrap_or(path),
            link: ahead.link.or_else(|| header.link_name_bytes().map(Cow::into_owned)).unwrap_or_default(),
            ask,
            mode: header.mode()?,
            size,
            mtime: match ahead.mtime {
                Some(mtime) => mtime,
                None => header.mtime()?,
            },
            xattrs: ahead.xattrs,
            at: self.at,
            in_pieces: real.is_some() && ask == Ask::File,
        };
        Ok((header, pieces))
    }

    /// One block of what belongs to the entry at hand but is not counted in its size.
    fn whole_block(&mut self) -> io::Result<[u8; 512]> {
        self.block()?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// One block of the content of the entry at hand.
    pub(super) fn content_block(&mut self) -> io::Result<[u8; 512]> {
        self.left = self.left.checked_sub(BLOCK).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.whole_block()
    }

    /// The next block; `None` at the end of the stream, and at a block of zeros, which ends an archive.
    fn block(&mut self) -> io::Result<Option<[u8; 512]>> {
        let mut block = [0; 512];
        let mut filled = 0;
        while filled < block.len() {
            match self.stream.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.at += BLOCK;
        Ok(block.iter().any(|&byte| byte != 0).then_some(block))
    }

    fn extension(&mut self, size: u64, most: u64) -> io::Result<Vec<u8>> {
        if size > most {
            return Err(invalid(format!("a name of over {most} bytes")));
        }
        let mut data = Vec::new();
        (&mut self.stream).take(size).read_to_end(&mut data)?;
        self.took(data.len() as u64);
        if (data.len() as u64) < size { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(data) }
    }

    fn pass(&mut self, count: u64) -> io::Result<()> {
        let passed = io::copy(&mut (&mut self.stream).take(count), &mut io::sink())?;
        self.took(passed);
        if passed < count { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn took(&mut self, count: u64) {
        self.at += count;
        self.left = self.left.saturating_sub(count);
    }
}

/// The content of one entry, holes filled with zeros.
pub(super) struct Content<'a, R> {
    of: &'a mut Headers<R>,
    pieces: VecDeque<Piece>,
    at: u64,
    size: u64,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pieces.front().is_some_and(|piece| piece.at + piece.size <= self.at) {
            self.pieces.pop_front();
        }
        let within = |end: u64| usize::try_from(end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let count = match self.pieces.front() {
            Some(piece) if piece.at <= self.at => {
                let most = within(piece.at + piece.size);
                let count = self.of.stream.read(&mut buffer[..most])?;
                self.of.took(count as u64);
                if count == 0 && most > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                count
            }
            hole => {
                let count = within(hole.map_or(self.size, |piece| piece.at));
                buffer[..count].fill(0);
                count
            }
        };
        self.at += count as u64;
        Ok(count)
    }
}

impl Ahead {
    /// Records are `length key=value\n`, the length that of the whole record (pax(1)).
    fn read_pax(&mut self, mut data: &[u8]) -> io::Result<()> {
        let broken = || invalid("a pax header that is broken".to_owned());
        while !data.is_empty() {
            let space = data.iter().position(|&byte| byte == b' ').ok_or_else(broken)?;
            let length = usize::try_from(number(&data[..space])?).map_err(|_| broken())?;
            let record =
                data.get(space + 1..length).and_then(|record| record.strip_suffix(b"\n")).ok_or_else(broken)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(broken)?;
            self.record(&record[..equals], &record[equals + 1..])?;
            data = &data[length..];
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number(value)?),
            // With a fraction of a second, or before 1970, which is taken for 1970.
            b"mtime" => {
                self.mtime = Some(value.split(|&byte| byte == b'.').next().map_or(0, |s| number(s).unwrap_or(0)));
            }
            key if key.starts_with(b"SCHILY.xattr.") || key.starts_with(b"LIBARCHIVE.xattr.") => self.xattrs = true,
            key => {
                if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.pieces.record(key, value)?;
                }
            }
        }
        Ok(())
    }
}

/// A number in decimal digits.
pub(super) fn number(digits: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or_else(|| invalid("a number that is none".to_owned()))
}

pub(super) fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// The sum of all bytes, its own field taken for spaces (tar(5)).
fn checksum(block: &[u8; 512]) -> u32 {
    let own = 148..156;
    let bytes = block.iter().enumerate().map(|(at, byte)| if own.contains(&at) { b' ' } else { *byte });
    bytes.map(u32::from).sum()
}

/// With what pads the content to whole blocks.
fn padded(size: u64) -> io::Result<u64> {
    size.checked_next_multiple_of(BLOCK).ok_or_else(|| invalid("a size beyond all files".to_owned()))
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
