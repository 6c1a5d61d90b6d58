//! Bytes as the inside of a JSON string, piece by piece, each byte that is not UTF-8 as one U+FFFD. The length is known
//! beforehand, so that a long text never stands in memory twice.

use std::ops::Range;

/// For each byte, what stands for it: 1 is itself, 2 a backslash and a letter, 6 a backslash, `u` and four digits.
const COST: [u8; 256] = {
    let mut cost = [1; 256];
    let mut byte = 0;
    while byte < 0x20 {
        cost[byte] = 6;
        byte += 1;
    }
    let short = [b'"', b'\\', b'\n', b'\r', b'\t', 0x08, 0x0c];
    let mut at = 0;
    while at < short.len() {
        cost[short[at] as usize] = 2;
        at += 1;
    }
    cost
};

/// How many bytes [`append`] makes of these.
pub fn length(bytes: &[u8]) -> u64 {
    let chunks = bytes.utf8_chunks();
    chunks.map(|chunk| valid_length(chunk.valid().as_bytes()) + 3 * chunk.invalid().len() as u64).sum()
}

fn valid_length(text: &[u8]) -> u64 {
    text.iter().map(|byte| u64::from(COST[usize::from(*byte)])).sum()
}

/// Appends what stands for these bytes.
pub fn append(json: &mut Vec<u8>, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        let mut rest = chunk.valid().as_bytes();
        while let Some(at) = rest.iter().position(|byte| COST[usize::from(*byte)] > 1) {
            json.extend_from_slice(&rest[..at]);
            escape(json, rest[at]);
            rest = &rest[at + 1..];
        }
        json.extend_from_slice(rest);
        for _ in chunk.invalid() {
            json.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn escape(json: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        b'"' | b'\\' => byte,
        _ => {
            let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
            json.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    json.extend_from_slice(&[b'\\', letter]);
}

/// The next piece of `bytes` from `at` on: `most` bytes, or up to three fewer, so that no character is cut in two.
pub fn piece(bytes: &[u8], at: usize, most: usize) -> Range<usize> {
    let end = bytes.len().min(at + most);
    if end == bytes.len() {
        return at..end;
    }
    // A byte that begins a character of several, among the last three, and whose character goes on behind the end.
    let cut = (1..=3).find(|back| {
        let width = match bytes[end - back] {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            _ => return false,
        };
        end - back > at && width > *back
    });
    at..end - cut.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::text::lossy;
    use super::*;

    fn in_pieces(bytes: &[u8], most: usize) -> Vec<u8> {
        let (mut json, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let range = piece(bytes, at, most);
            assert!(range.start == at && range.end > at && range.len() <= most, "{range:?}");
            append(&mut json, &bytes[range.clone()]);
            at = range.end;
        }
        json
    }

    fn check(bytes: &[u8], most: usize) {
        let whole = serde_json::to_string(&lossy(bytes)).unwrap();
        let inside = &whole[1..whole.len() - 1];
        assert_eq!(String::from_utf8(in_pieces(bytes, most)).unwrap(), inside, "{bytes:?} by {most}");
        assert_eq!(length(bytes), inside.len() as u64, "{bytes:?}");
    }

    #[test]
    fn every_byte_alone_and_beside_others() {
        for byte in 0..=255 {
            check(&[byte], 4);
            check(&[b'a', byte, b'b', 0xE2, byte, 0x82], 4);
        }
    }

    #[test]
    fn characters_at_every_cut() {
        let text = "\u{0}\"é€😀\u{fffd}\u{7f}\\x".as_bytes();
        for start in 0..text.len() {
            for most in 4..9 {
                check(&text[start..], most);
            }
        }
        check(&[0xF0, 0xF0, 0xF0, 0xF0, 0xF0, 0xF0, 0x9F, 0x98, 0x80], 4);
    }

    proptest! {
        #[test]
        fn as_serde_json_has_it(bytes: Vec<u8>, text in ".*", most in 4_usize..40) {
            check(&bytes, most);
            check(text.as_bytes(), most);
            check(&[text.as_bytes(), &bytes, text.as_bytes()].concat(), most);
        }
    }
}
