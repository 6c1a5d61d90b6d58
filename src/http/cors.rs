//! The headers that let browsers in, on every reply, with or without an `Origin`.

use hyper::HeaderMap;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
    HeaderValue, VARY,
};

/// Which origins may use the service. The other headers are fixed.
#[derive(Clone, Debug)]
pub struct Cors {
    /// `None` lets everybody in.
    origins: Option<Vec<String>>,
}

impl Cors {
    /// From the setting: `*` or a list of origins.
    #[must_use]
    pub fn new(origins: &[String]) -> Self {
        Self { origins: (!origins.iter().any(|origin| origin == "*")).then(|| origins.to_vec()) }
    }

    /// Adds the headers to a reply to a request with this `Origin`.
    pub(super) fn add(&self, headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
        match &self.origins {
            None => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Some(allowed) => {
                // The reply depends on who asks, so that a cache must not mix them up.
                headers.insert(VARY, HeaderValue::from_static("Origin"));
                if let Some(origin) =
                    origin.filter(|origin| allowed.iter().any(|one| one.as_bytes() == origin.as_bytes()))
                {
                    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                }
            }
        }
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS, PUT, DELETE"));
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static("Content-Type, Authorization, X-Requested-With"),
        );
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_origins_lets_in_only_those() {
        let cors = Cors::new(&["https://a.example".to_owned(), "https://b.example".to_owned()]);
        for (origin, allowed) in [
            (Some("https://b.example"), true),
            (Some("https://b.example.evil"), false),
            (Some("null"), false),
            (None, false),
        ] {
            let mut headers = HeaderMap::new();
            let value = origin.map(HeaderValue::from_static);
            cors.add(&mut headers, value.as_ref());
            assert_eq!(headers.get(ACCESS_CONTROL_ALLOW_ORIGIN), value.as_ref().filter(|_| allowed), "{origin:?}");
            assert_eq!((headers[VARY].as_bytes(), headers.len()), (&b"Origin"[..], if allowed { 5 } else { 4 }));
        }
    }
}
