//! The header `Idempotency-Key`: a client that sends a submission again under the same key does not submit again.

use hyper::HeaderMap;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::model::IdempotencyKey;

/// The header's name.
const NAME: &str = "idempotency-key";

/// Characters of a key at most.
pub const LONGEST: usize = 255;

/// The key of a request with this body, if it has one.
///
/// # Errors
/// [`Problem::BadKey`] for one that is empty, too long, repeated or not printable ASCII.
pub fn of(headers: &HeaderMap, body: &[u8]) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = headers.get_all(NAME).iter();
    let Some(first) = values.next() else { return Ok(None) };
    // What can be text in a header can be a tab too.
    let printable = |name: &&str| name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let name = first.to_str().ok().filter(|name| (1..=LONGEST).contains(&name.len())).filter(printable);
    match name {
        Some(name) if values.next().is_none() => {
            Ok(Some(IdempotencyKey { name: name.to_owned(), body: Sha256::digest(body).into() }))
        }
        _ => Err(Problem::BadKey),
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn what_counts_as_a_key() {
        let long = "x".repeat(256);
        let table: [(&[&str], Option<&str>); 8] = [
            (&["a"], Some("a")),
            (&["a b~"], Some("a b~")),
            (&["a\tb"], None),
            (&[&long[1..]], Some(&long[1..])),
            (&[""], None),
            (&[&long], None),
            (&["a", "a"], None),
            (&["ä"], None),
        ];
        for (values, expected) in table {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(NAME, HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(of(&headers, b"x").ok().flatten().map(|key| key.name).as_deref(), expected, "{values:?}");
        }
        assert!(of(&HeaderMap::new(), b"x").unwrap().is_none());
    }

    #[test]
    fn the_body_tells_two_uses_of_a_key_apart() {
        let headers =
            HeaderMap::from_iter([(hyper::header::HeaderName::from_static(NAME), HeaderValue::from_static("a"))]);
        assert_eq!(of(&headers, b"x").unwrap(), of(&headers, b"x").unwrap());
        assert_ne!(of(&headers, b"x").unwrap(), of(&headers, b"y").unwrap());
    }
}
