//! `GET /v1/submissions`: what was submitted, the newest first, page by page, without what it printed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::error;

use super::document::Head;
use super::query;
use crate::http::problem::Problem;
use crate::http::reply::Reply;
use crate::http::routes::{self, Client, place};
use crate::model::State;
use crate::store::Place;
use crate::telemetry::{Tag, chain};

/// Submissions of a page where nothing is said.
const USUAL: usize = 20;
/// And at most.
pub const MOST: usize = 100;

/// A page.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Page<'a> {
    /// The newest first.
    submissions: Vec<Head<'a>>,
    /// The `cursor` of the next page; null on the last one.
    next: Option<String>,
}

/// What a client wants to see.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    limit: usize,
    before: Option<Place>,
    state: Option<State>,
}

/// Answers with the page that is asked for, of the client's own submissions where it came with a token.
pub async fn show(client: &Client, query: &str) -> Result<Reply, Problem> {
    let edge = &client.edge;
    let Wanted { limit, before, state } = wanted(query)?;
    let _place = place(edge)?;
    let found = edge.ledger.list(client.owner.as_ref(), before, state, limit).await;
    let found = found.map_err(|failure| {
        error!(tag = %Tag::Http, "submissions cannot be listed: {}", chain(&failure));
        Problem::Unreadable
    })?;
    let submissions = found.submissions.iter().map(|submission| Head::of(submission)).collect();
    let page = Page { submissions, next: found.next.map(cursor) };
    let mut body = serde_json::to_vec(&page).map_err(routes::unwritten)?;
    body.push(b'\n');
    Ok(routes::as_json(StatusCode::OK, body.into()))
}

fn wanted(query: &str) -> Result<Wanted, Problem> {
    let mut wanted = Wanted { limit: USUAL, before: None, state: None };
    for (name, value) in query::pairs(query, &["limit", "cursor", "status"])? {
        let refuse = |remedy: String| query::unreadable(&name, &value, remedy);
        match name.as_str() {
            "limit" => {
                let number = query::whole(&name, &value, 1, MOST as u64)?;
                wanted.limit = usize::try_from(number).unwrap_or(MOST);
            }
            "cursor" => {
                let place =
                    before(&value).ok_or_else(|| refuse("give `next` of the page before, as it was".to_owned()))?;
                wanted.before = Some(place);
            }
            _ => {
                let known = STATES.into_iter().find(|state| state.as_str() == value);
                let names = || STATES.map(State::as_str).join(", ");
                wanted.state = Some(known.ok_or_else(|| refuse(format!("give one of {}", names())))?);
            }
        }
    }
    Ok(wanted)
}

const STATES: [State; 5] = [State::Pending, State::Queued, State::Running, State::Completed, State::Failed];

/// A place, as a client carries it from one page to the next.
fn cursor(place: Place) -> String {
    URL_SAFE_NO_PAD.encode(place.to_be_bytes())
}

fn before(cursor: &str) -> Option<Place> {
    URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok().map(Place::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_can_be_asked_for() {
        let usual = Wanted { limit: USUAL, before: None, state: None };
        assert_eq!(wanted("").unwrap(), usual);
        let all = format!("limit=7&status=failed&cursor={}", cursor(300));
        assert_eq!(wanted(&all).unwrap(), Wanted { limit: 7, before: Some(300), state: Some(State::Failed) });
        for query in [
            "limit=+5",
            "limit=1.0",
            "limit=-",
            "limit=",
            "limit=1&limit=1",
            "status=",
            "status=Failed",
            "cursor=",
            "cursor=AAAAAAAAASw=",
            "cursor=300",
            "page=1",
        ] {
            assert!(matches!(wanted(query), Err(Problem::Invalid { .. })), "{query}");
        }
        for query in ["limit=0", "limit=101", "limit=-1", "limit=18446744073709551617"] {
            assert!(matches!(wanted(query), Err(Problem::Beyond { .. })), "{query}");
        }
    }
}
