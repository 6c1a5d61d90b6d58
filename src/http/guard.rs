//! Who may pass: bearer tokens (RFC 6750), by route. A token sees what it submitted and nothing else.

use hyper::header::{AUTHORIZATION, HeaderMap};
use subtle::ConditionallySelectable;

use super::problem::Problem;
use super::routes::{Client, Route, found};
use crate::config::TokenEntry;
use crate::model::{JobId, Owner, TokenDigest};

/// Which tokens there are, and which routes want one.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Without any, nobody is asked for one.
    tokens: Vec<(TokenDigest, Owner)>,
    monaco: bool,
    metrics: bool,
}

impl Guard {
    /// Asks for one of these tokens, on the Monaco routes too if `monaco`.
    #[must_use]
    pub fn new(tokens: &[TokenEntry], monaco: bool) -> Self {
        let tokens = tokens.iter().map(|token| (token.digest, token.owner.clone())).collect();
        Self { tokens, monaco, metrics: false }
    }

    /// And on `/metrics`, if `metrics`.
    #[must_use]
    pub fn with_metrics(self, metrics: bool) -> Self {
        Self { metrics, ..self }
    }

    /// Whether this route wants a token; `None` is a path below `/v1/` that there is not.
    pub(super) const fn wants(&self, route: Option<Route>) -> bool {
        !self.tokens.is_empty()
            && match route {
                None | Some(Route::V1(_)) => true,
                Some(Route::Submit | Route::Status | Route::Result | Route::QueueStats) => self.monaco,
                // What is counted says nothing of a client; some want it hidden all the same.
                Some(Route::Metrics) => self.metrics,
                Some(Route::Health | Route::Ready | Route::Page(_) | Route::OpenApi) => false,
            }
    }

    /// Whose token came with a request.
    fn who(&self, headers: &HeaderMap) -> Result<Owner, Problem> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(only), None) = (all.next(), all.next()) else {
            return Err(Problem::NoToken { wrong: headers.contains_key(AUTHORIZATION) });
        };
        let (scheme, token) = only.as_bytes().split_at(only.len().min(SCHEME.len()));
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(Problem::NoToken { wrong: false });
        }
        // All of them are looked at, however early one is the same.
        let sent = TokenDigest::of(token.trim_ascii());
        let mut at = u64::MAX;
        for (number, (digest, _)) in (0_u64..).zip(&self.tokens) {
            at.conditional_assign(&number, sent.same(digest));
        }
        let owner = usize::try_from(at).ok().and_then(|at| self.tokens.get(at));
        owner.map(|(_, owner)| owner.clone()).ok_or(Problem::NoToken { wrong: true })
    }
}

/// What stands before a token.
const SCHEME: &[u8] = b"Bearer ";

/// Lets a request to this route pass, about this submission where it is about one: whose it is stands in the client then.
///
/// # Errors
/// [`Problem::NoToken`], and [`Problem::UnknownId`] for what another one submitted.
pub(super) async fn pass(
    client: &Client,
    route: Route,
    headers: &HeaderMap,
    id: Option<JobId>,
) -> Result<Client, Problem> {
    let mut client = client.clone();
    if !client.edge.guard.wants(Some(route)) {
        return Ok(client);
    }
    client.owner = Some(client.edge.guard.who(headers)?);
    if let Some(id) = id
        && found(id, client.edge.ledger.status(id).await)?.owner != client.owner
    {
        return Err(Problem::UnknownId);
    }
    Ok(client)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use hyper::header::HeaderValue;

    use super::*;
    use crate::config::StepPatches;

    fn guard() -> Guard {
        let entry = |name: &str| TokenEntry {
            owner: Owner::named(name).unwrap(),
            digest: TokenDigest::of(format!("secret-{name}").as_bytes()),
            rate: None,
            share: NonZeroU32::MIN,
            waiting: None,
            ceilings: StepPatches::default(),
        };
        Guard::new(&["a", "b", "c"].map(entry), false)
    }

    fn who(values: &[&str]) -> Result<String, bool> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        match guard().who(&headers) {
            Ok(owner) => Ok(owner.to_string()),
            Err(Problem::NoToken { wrong }) => Err(wrong),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_counts_as_a_token() {
        for (values, expected) in [
            (&["Bearer secret-a"][..], Ok("a")),
            (&["bearer  secret-b "], Ok("b")),
            (&["BEARER secret-c"], Ok("c")),
            (&[], Err(false)),
            (&["Basic c2VjcmV0LWE="], Err(false)),
            (&["secret-a"], Err(false)),
            (&["Bearer"], Err(false)),
            (&["Bearer "], Err(true)),
            (&["Bearer secret-"], Err(true)),
            (&["Bearer secret-aa"], Err(true)),
            (&["Bearer secret-a secret-a"], Err(true)),
            (&["Bearer secret-a", "Bearer secret-a"], Err(true)),
        ] {
            assert_eq!(who(values), expected.map(str::to_owned), "{values:?}");
        }
    }

    #[test]
    fn neither_a_token_nor_its_hash_is_shown() {
        let shown = format!("{:?}", guard());
        assert!(!shown.contains(&TokenDigest::of(b"secret-a").hex()) && shown.contains("(…, a)"), "{shown}");
    }
}
