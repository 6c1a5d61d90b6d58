//! The archive as it was saved: a tar file that holds documents and layers. Read once from end to end for its digest and
//! for where everything in it is; then each part is read where it lies. Nothing of it is unpacked.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::image::digest::Digest;
use crate::image::error::UnpackError;
use crate::image::extract::components;
use crate::image::headers::{Ask, Headers, show};
use crate::image::import::bounds::Bounds;
use crate::image::import::error::ImportError;
use crate::image::import::flow::{Bounded, Part, Tallied, Tally, plain};

/// An archive with everything in it found.
#[derive(Debug)]
pub(super) struct Saved {
    /// Without compression.
    file: File,
    /// Of the file as it was given.
    pub(super) digest: Digest,
    places: HashMap<Vec<u8>, Place>,
    bounds: Bounds,
}

#[derive(Debug)]
enum Place {
    At {
        at: u64,
        size: u64,
    },
    /// Another name in the archive: tools write a layer that an image has twice once.
    Link(Vec<u8>),
}

/// How many links a name leads through at most.
const HOPS: usize = 8;

impl Saved {
    /// Reads `given` to its end. One that is compressed, or that is no file, is copied to a file without a name in `dir`.
    pub(super) fn read(given: File, dir: &Path, bounds: Bounds) -> Result<Self, ImportError> {
        let found = given.metadata().map_err(ImportError::Read)?;
        if found.is_dir() {
            return Err(ImportError::NoImage(
                "it is a directory; of an OCI layout make an archive with `tar -C DIRECTORY -cf ARCHIVE .`",
            ));
        }
        let (input, output) = (Tally::default(), Tally::default());
        let source: Box<dyn Read + '_> = match found.is_file() {
            true => Box::new(Part { file: &given, at: 0, left: u64::MAX }),
            false => Box::new(&given),
        };
        let (compressed, stream) = plain(Tallied { stream: source, tally: &input }).map_err(ImportError::Read)?;
        let stream = Tallied { stream, tally: &output };
        let stream = Bounded { stream, input: &input, output: &output, before: 0, bounds };
        let (copy, places) = match compressed || !found.is_file() {
            true => {
                let mut copy = tempfile::tempfile_in(dir).map_err(ImportError::Copy)?;
                let mut copying = Copying { stream, copy: &mut copy, failed: None };
                let places = index(&mut copying, bounds);
                // A full disk shows as a stream that cannot be read.
                if let Some(error) = copying.failed {
                    return Err(ImportError::Copy(error));
                }
                (Some(copy), places?)
            }
            false => (None, index(stream, bounds)?),
        };
        let digest = input.digest();
        Ok(Self { file: copy.unwrap_or(given), digest, places, bounds })
    }

    /// Whether the archive has this file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The content of a file of the archive.
    pub(super) fn find(&self, name: &str) -> Option<Part<'_>> {
        let mut name = components(name.as_bytes()).ok()?.join(&b'/');
        for _ in 0..HOPS {
            match self.places.get(&name)? {
                Place::At { at, size } => return Some(Part { file: &self.file, at: *at, left: *size }),
                Place::Link(to) => name.clone_from(to),
            }
        }
        None
    }

    /// A whole document of the archive.
    pub(super) fn document(&self, name: &str, by: &'static str) -> Result<Vec<u8>, ImportError> {
        let missing = || ImportError::Missing { name: show(name.as_bytes()), by };
        let mut part = self.find(name).ok_or_else(missing)?;
        if part.left > self.bounds.document {
            return Err(ImportError::Bound { what: "bytes of one document", limit: self.bounds.document });
        }
        let mut bytes = Vec::new();
        part.read_to_end(&mut bytes).map_err(ImportError::Read)?;
        Ok(bytes)
    }
}

fn index(stream: impl Read, bounds: Bounds) -> Result<HashMap<Vec<u8>, Place>, ImportError> {
    let mut places = HashMap::new();
    let mut headers = Headers::new(stream);
    let refused = |path: &[u8], reason| ImportError::Archive(UnpackError::Entry { path: show(path), reason });
    let mut seen = 0;
    while let Some((header, _)) = headers.next().map_err(ImportError::Archive)? {
        seen += 1;
        if seen > bounds.files {
            return Err(ImportError::Bound { what: "files in the archive itself", limit: bounds.files as u64 });
        }
        let parts = components(&header.path).map_err(ImportError::Archive)?;
        let place = match header.ask {
            Ask::Directory => continue,
            Ask::File if header.in_pieces => {
                return Err(refused(&header.path, "it is in pieces: save the image again"));
            }
            Ask::File => Place::At { at: header.at, size: header.size },
            Ask::HardLink => Place::Link(components(&header.link).map_err(ImportError::Archive)?.join(&b'/')),
            Ask::Symlink => Place::Link(
                beside(&parts, &header.link)
                    .ok_or_else(|| refused(&header.path, "its link leads out of the archive"))?,
            ),
            Ask::Special | Ask::Unknown => {
                return Err(refused(&header.path, "an archive of an image has files, directories and links only"));
            }
        };
        if places.insert(parts.join(&b'/'), place).is_some() {
            return Err(refused(&header.path, "it is in the archive twice, and it cannot be told which is meant"));
        }
    }
    headers.drain().map_err(ImportError::Archive)?;
    Ok(places)
}

/// Where a symbolic link leads, by its letters alone.
fn beside(link: &[&[u8]], target: &[u8]) -> Option<Vec<u8>> {
    let mut parts = link.split_last()?.1.to_vec();
    if target.starts_with(b"/") {
        return None;
    }
    for part in target.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join(&b'/'))
}

/// Writes what is read.
struct Copying<'c, R> {
    stream: R,
    copy: &'c mut File,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        match self.copy.write_all(&buffer[..count]) {
            Ok(()) => Ok(count),
            Err(error) => {
                self.failed = Some(error);
                Err(io::ErrorKind::StorageFull.into())
            }
        }
    }
}

#[cfg(test)]
mod tests;
