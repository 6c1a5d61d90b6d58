//! Files in pieces: which parts of a file with holes an archive holds, in the four forms that GNU tar writes (GNU tar
//! manual, "Storing Sparse Files"): of its own format in the header and blocks behind it, and of pax in versions 0.0, 0.1
//! and 1.0.

use std::collections::VecDeque;
use std::io::{self, Read};

use tar::{GnuExtSparseHeader, GnuHeader, GnuSparseHeader};

use crate::image::headers::{Headers, invalid, number};

/// The most pieces of one file. A map of them is held in memory.
const MOST: usize = 100_000;

/// A part of a file that is in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// In the file.
    pub(super) at: u64,
    pub(super) size: u64,
}

/// What the records `GNU.sparse.*` of a pax header said.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The file's own name; the entry has a made-up one.
    pub(super) name: Option<Vec<u8>>,
    real: Option<u64>,
    /// Version 1.0: the map stands before the content.
    in_content: bool,
    pieces: VecDeque<Piece>,
    begun: Option<u64>,
}

impl Told {
    /// Whether the file is in pieces.
    pub(super) fn any(&self) -> bool {
        self.real.is_some()
    }

    /// The size with holes.
    pub(super) fn real(&self) -> io::Result<u64> {
        self.real.ok_or_else(|| broken("no size"))
    }

    /// One record; `key` is what follows `GNU.sparse.`.
    pub(super) fn record(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match key {
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.real = Some(number(value)?),
            b"major" => self.in_content = number(value)? == 1,
            b"offset" => self.begun = Some(number(value)?),
            b"numbytes" => {
                let at = self.begun.take().ok_or_else(|| broken("a length without a place"))?;
                push(&mut self.pieces, Piece { at, size: number(value)? })?;
            }
            b"map" => {
                let numbers: Vec<u64> = value.split(|&byte| byte == b',').map(number).collect::<io::Result<_>>()?;
                for pair in numbers.chunks(2) {
                    let [at, size] = *pair else { return Err(broken("a place without a length")) };
                    push(&mut self.pieces, Piece { at, size })?;
                }
            }
            // How many, and the lesser version: both follow from the rest.
            _ => {}
        }
        Ok(())
    }

    /// The pieces, of version 1.0 read from the beginning of the content: decimal numbers, a line each, in whole blocks.
    pub(super) fn read<R: Read>(self, headers: &mut Headers<R>) -> io::Result<VecDeque<Piece>> {
        if !self.in_content {
            return Ok(self.pieces);
        }
        let mut block = headers.content_block()?;
        let mut at = 0;
        let mut next = || {
            let mut digits = Vec::new();
            loop {
                if at == block.len() {
                    (block, at) = (headers.content_block()?, 0);
                }
                let byte = block[at];
                at += 1;
                match byte {
                    b'\n' => return number(&digits),
                    // The longest number of 64 bits has 20 digits.
                    byte if digits.len() < 20 => digits.push(byte),
                    _ => return Err(broken("a number without an end")),
                }
            }
        };
        let mut pieces = VecDeque::new();
        for _ in 0..next()? {
            push(&mut pieces, Piece { at: next()?, size: next()? })?;
        }
        Ok(pieces)
    }
}

/// The pieces in the header itself.
pub(super) fn of_header(gnu: &GnuHeader) -> io::Result<VecDeque<Piece>> {
    let mut pieces = VecDeque::new();
    add(&gnu.sparse, &mut pieces)?;
    Ok(pieces)
}

/// The pieces of one block behind the header, and whether another block follows.
pub(super) fn of_block(block: &[u8; 512], pieces: &mut VecDeque<Piece>) -> io::Result<bool> {
    let mut header = GnuExtSparseHeader::new();
    header.as_mut_bytes().copy_from_slice(block);
    add(header.sparse(), pieces)?;
    Ok(header.is_extended())
}

fn add(found: &[GnuSparseHeader], pieces: &mut VecDeque<Piece>) -> io::Result<()> {
    for header in found.iter().filter(|header| !header.is_empty()) {
        push(pieces, Piece { at: header.offset()?, size: header.length()? })?;
    }
    Ok(())
}

fn push(pieces: &mut VecDeque<Piece>, piece: Piece) -> io::Result<()> {
    if pieces.len() == MOST {
        return Err(broken("more than 100000 pieces"));
    }
    pieces.push_back(piece);
    Ok(())
}

/// Pieces follow one another, none beyond the end of the file, and together they are what the archive holds.
pub(super) fn check(pieces: &VecDeque<Piece>, size: u64, held: u64) -> io::Result<()> {
    let (mut end, mut sum) = (0_u64, 0_u64);
    for piece in pieces {
        if piece.at < end {
            return Err(broken("pieces that are not in order"));
        }
        end = piece.at.checked_add(piece.size).ok_or_else(|| broken("a piece beyond all files"))?;
        // Not above `end`, which is one of 64 bits.
        sum = sum.saturating_add(piece.size);
    }
    if end > size || sum > held {
        return Err(broken("a piece beyond the end"));
    }
    Ok(())
}

fn broken(what: &str) -> io::Error {
    invalid(format!("a file in pieces with {what}"))
}

#[cfg(test)]
mod tests;
