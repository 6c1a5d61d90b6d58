//! The routes below `/v1/`: the same submissions as those of the Monaco routes, with all that can be said about one. JSON
//! in, JSON out, problem documents for everything else.

mod batch;
mod decode;
mod document;
mod events;
mod judged;
pub mod languages;
mod list;
mod moment;
pub mod openapi;
pub mod problem;
mod query;
mod submissions;
mod verdict;

pub use document::in_lines;
pub use events::Endings;
use hyper::body::Incoming;
use hyper::{Method, Request};

use super::problem::Problem;
use super::reply::Reply;
use super::routes::{Client, canonical};
use crate::model::JobId;

/// What all paths below it have in common.
pub const PREFIX: &str = "/v1/";

/// The paths that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// What programs can be written in.
    Languages,
    /// All submissions.
    Submissions,
    /// Several of them at once.
    Batch,
    /// One of them; `None` for an id that we never gave out.
    Submission(Option<JobId>),
    /// What happens to one of them.
    Events(Option<JobId>),
}

impl Route {
    /// The route of a path.
    pub fn of(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(PREFIX)?;
        match rest.split('/').collect::<Vec<_>>()[..] {
            ["languages"] => Some(Self::Languages),
            ["submissions:batch"] => Some(Self::Batch),
            ["submissions"] => Some(Self::Submissions),
            ["submissions", id] => Some(Self::Submission(canonical(id.as_bytes()))),
            ["submissions", id, "events"] => Some(Self::Events(canonical(id.as_bytes()))),
            _ => None,
        }
    }

    /// The submission that it is about, by which it is seen whether a token may see it.
    pub const fn id(self) -> Option<JobId> {
        match self {
            Self::Languages | Self::Submissions | Self::Batch => None,
            Self::Submission(id) | Self::Events(id) => id,
        }
    }

    /// Its path, with the name of what differs from request to request.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Languages => "/v1/languages",
            Self::Submissions => "/v1/submissions",
            Self::Batch => "/v1/submissions:batch",
            Self::Submission(_) => "/v1/submissions/{id}",
            Self::Events(_) => "/v1/submissions/{id}/events",
        }
    }

    /// The methods that it knows.
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Languages | Self::Events(_) => "GET, HEAD, OPTIONS",
            Self::Submissions | Self::Batch => "GET, HEAD, POST, OPTIONS",
            Self::Submission(_) => "GET, HEAD, DELETE, OPTIONS",
        }
    }
}

/// Answers a request whose method the route knows. `HEAD` is answered as `GET`; of that the content is left out where it would
/// be sent.
///
/// # Errors
/// Every problem, to be told as [`problem::reply`] does.
pub async fn answer(client: &Client, route: Route, request: Request<Incoming>) -> Result<Reply, Problem> {
    let query = request.uri().query().unwrap_or_default();
    match (route, request.method()) {
        (Route::Languages, _) => languages::show(&client.edge, query),
        (Route::Submissions, &Method::POST) => submissions::submit(client, request).await,
        (Route::Submissions, _) => list::show(client, query).await,
        (Route::Batch, &Method::POST) => batch::submit(client, request).await,
        (Route::Batch, _) => batch::show(client, query).await,
        (Route::Submission(id), &Method::DELETE) => {
            submissions::cancel(client, id.ok_or(Problem::UnknownId)?, query).await
        }
        (Route::Submission(id), _) => submissions::show(client, id.ok_or(Problem::UnknownId)?, query).await,
        (Route::Events(id), _) => events::follow(client, id.ok_or(Problem::UnknownId)?, &request).await,
    }
}
