//! Whether a program printed what was expected. Pure, and told in pieces: an output that is compared need not be kept.
//!
//! White space is what isspace(3) names in the C locale: space, `\t`, `\n`, `\v`, `\f`, `\r`. Everything else is a byte
//! like any other, a NUL and what is no UTF-8 among it. What is the same by one row of [`Compare`] is the same by every row
//! below it.

mod number;

use std::borrow::Cow;

use crate::model::{Compare, Expected, Tolerance};

/// A longer token is no number, in bytes. A number in full, as `%f` prints the largest and the smallest, has some 1 400.
const LONGEST_NUMBER: usize = 4096;

/// An output on its way, held against the expected one.
#[derive(Debug)]
pub struct Comparison<'a> {
    expected: Cow<'a, [u8]>,
    /// How much of it was met.
    at: usize,
    /// Nothing that follows can change it.
    differs: bool,
    by: By,
}

#[derive(Debug)]
enum By {
    Bytes,
    Lines(Pending),
    Tokens(Token, Option<Tolerance>),
}

/// White space of which it is not known yet whether something follows.
#[derive(Debug, Default)]
struct Pending {
    /// Ends of lines.
    lines: usize,
    /// What stands behind the last of them.
    spaces: usize,
    /// Whether that is not what is expected there.
    others: bool,
}

/// The token that is being read.
#[derive(Debug, Default)]
struct Token {
    open: bool,
    /// Where the expected one ends; it begins where the comparison is.
    end: usize,
    /// Bytes of it that came.
    length: usize,
    /// One of them was not the expected one.
    others: bool,
    /// The first of them, where it may be a number.
    text: Vec<u8>,
}

impl<'a> Comparison<'a> {
    /// Of an output of which nothing has come yet.
    #[must_use]
    pub fn with(expected: &'a Expected) -> Self {
        let bytes = &expected.bytes[..];
        let (expected, by) = match expected.compare {
            Compare::Exact => (Cow::Borrowed(bytes), By::Bytes),
            Compare::Trailing => (Cow::Owned(without_ends(bytes)), By::Lines(Pending::default())),
            Compare::Tokens => (Cow::Borrowed(bytes), By::Tokens(Token::default(), None)),
            Compare::Floats(tolerance) => (Cow::Borrowed(bytes), By::Tokens(Token::default(), Some(tolerance))),
        };
        Self { expected, at: 0, differs: false, by }
    }

    /// The next piece of the output.
    pub fn feed(&mut self, piece: &[u8]) {
        if self.differs {
            return;
        }
        match &mut self.by {
            By::Bytes => {
                let next = self.expected.get(self.at..self.at.saturating_add(piece.len()));
                self.differs = next != Some(piece);
                self.at += piece.len();
            }
            By::Lines(pending) => {
                self.differs = !piece.iter().all(|&byte| pending.meets(byte, &self.expected, &mut self.at));
            }
            By::Tokens(token, tolerance) => {
                self.differs = !piece.iter().all(|&byte| token.meets(byte, &self.expected, &mut self.at, *tolerance));
            }
        }
    }

    /// Whether that was all of it and the expected one.
    #[must_use]
    pub fn same(mut self) -> bool {
        if let By::Tokens(token, tolerance) = &mut self.by {
            self.differs |= !token.ends(&self.expected, &mut self.at, *tolerance);
            self.at += spaces(&self.expected[self.at..]);
        }
        !self.differs && self.at == self.expected.len()
    }
}

impl Pending {
    /// Whether the output can still be the expected one after this byte.
    fn meets(&mut self, byte: u8, expected: &[u8], at: &mut usize) -> bool {
        if byte == b'\n' {
            *self = Self { lines: self.lines + 1, ..Self::default() };
            return true;
        }
        if is_space(byte) {
            self.others |= expected.get(*at + self.lines + self.spaces) != Some(&byte);
            self.spaces += 1;
            return true;
        }
        let Self { lines, spaces, others } = std::mem::take(self);
        let ends = expected.get(*at..*at + lines).is_some_and(|ends| ends.iter().all(|&byte| byte == b'\n'));
        *at += lines + spaces;
        let met = ends && !others && expected.get(*at) == Some(&byte);
        *at += 1;
        met
    }
}

impl Token {
    fn meets(&mut self, byte: u8, expected: &[u8], at: &mut usize, tolerance: Option<Tolerance>) -> bool {
        if is_space(byte) {
            return self.ends(expected, at, tolerance);
        }
        if !self.open {
            *at += spaces(&expected[*at..]);
            let length = expected[*at..].iter().take_while(|&&byte| !is_space(byte)).count();
            (self.open, self.end, self.length, self.others) = (true, *at + length, 0, false);
            self.text.clear();
        }
        self.others |= expected[*at..self.end].get(self.length) != Some(&byte);
        self.length += 1;
        if tolerance.is_some() && self.length <= LONGEST_NUMBER {
            self.text.push(byte);
        }
        // One more than is expected is no number beside another.
        *at < self.end && (tolerance.is_some() || !self.others)
    }

    /// Whether the token that ends here, if one does, is the expected one.
    fn ends(&mut self, expected: &[u8], at: &mut usize, tolerance: Option<Tolerance>) -> bool {
        if !std::mem::take(&mut self.open) {
            return true;
        }
        let wanted = &expected[*at..self.end];
        *at = self.end;
        let same = !self.others && self.length == wanted.len();
        let short = self.length <= LONGEST_NUMBER && wanted.len() <= LONGEST_NUMBER;
        same || tolerance.is_some_and(|tolerance| short && number::near(&self.text, wanted, tolerance))
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn spaces(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|&&byte| is_space(byte)).count()
}

/// Without white space at the ends of lines and without empty lines at the end.
fn without_ends(text: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let ends = line.iter().rev().take_while(|&&byte| is_space(byte)).count();
        kept.extend_from_slice(&line[..line.len() - ends]);
        if line.ends_with(b"\n") {
            kept.push(b'\n');
        }
    }
    while kept.ends_with(b"\n") {
        kept.pop();
    }
    kept
}

#[cfg(test)]
mod tests;
