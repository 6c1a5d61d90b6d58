//! Streams: a part of a file, what is counted and hashed as it passes, compression taken off, and the bounds of that.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use sha2::{Digest as _, Sha256};

use crate::image::digest::Digest;
use crate::image::headers::invalid;
use crate::image::import::bounds::Bounds;

/// A part of a file, read without moving the file's own position.
#[derive(Debug)]
pub(super) struct Part<'f> {
    pub(super) file: &'f File,
    pub(super) at: u64,
    pub(super) left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// Counts and hashes what passes a [`Tallied`].
#[derive(Debug, Default)]
pub(super) struct Tally {
    bytes: Cell<u64>,
    hasher: RefCell<Sha256>,
}

impl Tally {
    /// Of all that has passed.
    pub(super) fn digest(&self) -> Digest {
        Digest::finish(self.hasher.borrow().clone())
    }
}

/// A stream whose bytes are counted and hashed.
pub(super) struct Tallied<'t, R> {
    pub(super) stream: R,
    pub(super) tally: &'t Tally,
}

impl<R: Read> Read for Tallied<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.tally.bytes.set(self.tally.bytes.get() + count as u64);
        self.tally.hasher.borrow_mut().update(&buffer[..count]);
        Ok(count)
    }
}

/// A stream without its compression, which ends in an error where more comes out than the bounds take.
pub(super) struct Bounded<'t, R> {
    pub(super) stream: R,
    /// What went in.
    pub(super) input: &'t Tally,
    /// What came out, which `stream` tallies.
    pub(super) output: &'t Tally,
    /// What came out of other streams of the same archive.
    pub(super) before: u64,
    pub(super) bounds: Bounds,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        let (input, output) = (self.input.bytes.get(), self.output.bytes.get());
        if self.before.saturating_add(output) > self.bounds.stream {
            return Err(invalid(format!("more than {} bytes without compression", self.bounds.stream)));
        }
        if output > self.bounds.free && output / self.bounds.ratio > input {
            return Err(invalid(format!("it grows more than {}-fold without its compression", self.bounds.ratio)));
        }
        Ok(count)
    }
}

impl Tally {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.get()
    }
}

/// The stream without its compression, which its first bytes tell, and whether it had any.
pub(super) fn plain<'s>(mut stream: impl Read + 's) -> io::Result<(bool, Box<dyn Read + 's>)> {
    let mut head = Vec::new();
    stream.by_ref().take(6).read_to_end(&mut head)?;
    // RFC 1952; RFC 8878, frames and frames to skip; and what nobody makes layers of any more.
    let skipped = head.len() >= 4 && head[0] & 0xf0 == 0x50 && head[1..4] == [0x2a, 0x4d, 0x18];
    let (gzip, zstd) = (head.starts_with(&[0x1f, 0x8b]), head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || skipped);
    let other = head.starts_with(b"\xfd7zXZ") || head.starts_with(b"BZh");
    let whole = BufReader::with_capacity(64 << 10, io::Cursor::new(head).chain(stream));
    match (gzip, zstd) {
        _ if other => Err(invalid("it is compressed by xz or bzip2; gzip and zstd are read, and none".to_owned())),
        (true, _) => Ok((true, Box::new(MultiGzDecoder::new(whole)))),
        (_, true) => Ok((true, Box::new(Frames { source: whole, frame: FrameDecoder::new(), within: false }))),
        _ => Ok((false, Box::new(whole))),
    }
}

/// Zstandard, frame after frame. No frame is held as a whole, but for its window, which the decoder bounds at 128 MiB.
struct Frames<R> {
    source: R,
    frame: FrameDecoder,
    within: bool,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.within {
                while self.frame.can_collect() == 0 && !self.frame.is_finished() {
                    let one = BlockDecodingStrategy::UptoBlocks(1);
                    self.frame.decode_blocks(&mut self.source, one).map_err(io::Error::other)?;
                }
                let count = self.frame.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
                self.within = false;
            }
            if self.source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match self.frame.reset(&mut self.source) {
                Ok(()) => self.within = true,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}
