//! The one parameter that there is, read from a query as the clients' original read it (Go's `net/url`): the first of
//! several counts, a pair with a semicolon or a broken escape is no pair.

/// The value of `id`; empty when there is none.
pub fn id(query: &str) -> Vec<u8> {
    query
        .split('&')
        .filter(|pair| !pair.contains(';'))
        .filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(name)?, decoded(value)?))
        })
        .find_map(|(name, value)| (name == b"id").then_some(value))
        .unwrap_or_default()
}

/// A part of a query without its encoding; `None` for an escape that is broken.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit()? << 4 | digit()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_the_id() {
        for (query, expected) in [
            ("", ""),
            ("id", ""),
            ("id=", ""),
            ("id=a", "a"),
            ("x=1&id=a&id=b", "a"),
            ("id=&id=b", ""),
            ("ID=a", ""),
            ("%69d=%61+b", "a b"),
            ("id=%zz&id=b", "b"),
            ("id=%4", ""),
            ("id=a;b", ""),
            ("id=a=b", "a=b"),
        ] {
            assert_eq!(id(query), expected.as_bytes(), "{query}");
        }
    }
}
