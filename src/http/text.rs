//! Bytes to text, as the clients' original did it: every byte that is not part of valid UTF-8 becomes one U+FFFD.

use std::borrow::Cow;

/// `bytes` as text.
pub fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 2);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(std::iter::repeat_n(char::REPLACEMENT_CHARACTER, chunk.invalid().len()));
    }
    Cow::Owned(text)
}

/// Text in which lone surrogates stand as three bytes each (WTF-8): each becomes one U+FFFD.
pub fn without_surrogates(mut bytes: Vec<u8>) -> String {
    // In UTF-8 no second byte from A0 upwards follows ED; U+FFFD is as long as a surrogate.
    let mut at = 0;
    while at + 2 < bytes.len() {
        if bytes[at] == 0xED && bytes[at + 1] >= 0xA0 {
            bytes[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
            at += 2;
        }
        at += 1;
    }
    String::from_utf8(bytes).unwrap_or_else(|error| lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_replacement_for_each_bad_byte() {
        for (bytes, expected) in [
            (&b"plain\0"[..], "plain\0"),
            (b"a\xffb", "a\u{fffd}b"),
            (b"\xe2\x82", "\u{fffd}\u{fffd}"),
            (b"\xe2\x82x", "\u{fffd}\u{fffd}x"),
            (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xf0\x9f\x98\x80\xf0", "\u{1f600}\u{fffd}"),
            (b"\xc0\xaf", "\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(lossy(bytes), expected);
        }
        assert_eq!(
            without_surrogates(b"a\xed\xa0\x80\xed\xbf\xbfz\xed\x9f\xbf".to_vec()),
            "a\u{fffd}\u{fffd}z\u{d7ff}"
        );
    }

    proptest! {
        #[test]
        fn valid_text_is_left_alone(text in ".*") {
            prop_assert_eq!(lossy(text.as_bytes()), text.as_str());
            prop_assert_eq!(without_surrogates(text.clone().into_bytes()), text);
        }
    }
}
