//! The headers that let browsers in, on every reply, with or without an `Origin`.

use hyper::HeaderMap;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderValue, VARY,
};

/// Which origins may use the service. The other headers are fixed.
#[derive(Clone, Debug)]
pub struct Cors(Origins);

#[derive(Clone, Debug)]
enum Origins {
    /// None was named: every page may use what wants no token, none what does.
    Unnamed,
    All,
    These(Vec<String>),
}

impl Cors {
    /// From the setting: `*`, a list of origins, or nothing where it was not given.
    #[must_use]
    pub fn new(origins: &[String]) -> Self {
        Self(match origins {
            [] => Origins::Unnamed,
            all if all.iter().any(|origin| origin == "*") => Origins::All,
            these => Origins::These(these.to_vec()),
        })
    }

    /// Adds the headers to a reply to a request with this `Origin`; `guarded` says that its route wants a token.
    pub(super) fn add(&self, headers: &mut HeaderMap, origin: Option<&HeaderValue>, guarded: bool) {
        match &self.0 {
            Origins::Unnamed if guarded => {}
            Origins::Unnamed | Origins::All => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Origins::These(allowed) => {
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

    /// What scripts may send and see besides on the routes below `/v1/`.
    pub(super) fn add_v1(headers: &mut HeaderMap) {
        let sent = "Content-Type, Authorization, X-Requested-With, Idempotency-Key, Last-Event-ID";
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(sent));
        let seen = "Location, Retry-After, WWW-Authenticate";
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(seen));
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
            cors.add(&mut headers, value.as_ref(), true);
            assert_eq!(headers.get(ACCESS_CONTROL_ALLOW_ORIGIN), value.as_ref().filter(|_| allowed), "{origin:?}");
            assert_eq!((headers[VARY].as_bytes(), headers.len()), (&b"Origin"[..], if allowed { 5 } else { 4 }));
        }
    }

    #[test]
    fn where_a_token_is_wanted_only_named_origins_are_let_in() {
        for (named, guarded, allowed) in [
            (&[][..], false, true),
            (&[], true, false),
            (&["*".to_owned()], false, true),
            (&["*".to_owned()], true, true),
        ] {
            let mut headers = HeaderMap::new();
            Cors::new(named).add(&mut headers, Some(&HeaderValue::from_static("https://a.example")), guarded);
            assert_eq!(headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN), allowed, "{named:?} {guarded}");
        }
    }
}
