//! Which handler answers what. Each decodes, calls the service once, encodes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tracing::{error, info};

use super::cors::Cors;
use super::problem::Problem;
use super::{body, decode, monaco, query};
use crate::config::HttpSettings;
use crate::model::{JobId, Submission};
use crate::service::Ledger;
use crate::telemetry::Tag;

/// Every reply is complete before it is sent.
pub(super) type Reply = Response<Full<Bytes>>;

/// What the handlers share.
#[derive(Clone, Debug)]
pub struct Edge {
    /// The service.
    pub ledger: Arc<Ledger>,
    /// The bounds.
    pub http: HttpSettings,
    /// Which origins are let in.
    pub cors: Cors,
}

/// The paths that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Submit,
    Status,
    Result,
    QueueStats,
    Health,
    Ready,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/submit" => Self::Submit,
            "/status" => Self::Status,
            "/result" => Self::Result,
            "/queue-stats" => Self::QueueStats,
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready,
            _ => return None,
        })
    }

    const fn allow(self) -> &'static str {
        match self {
            Self::Submit => "POST, OPTIONS",
            Self::Status | Self::Result | Self::QueueStats => "GET, OPTIONS",
            Self::Health | Self::Ready => "GET, HEAD, OPTIONS",
        }
    }
}

/// Answers one request. `last` says that the connection is to be closed after it.
///
/// # Errors
/// Never: a problem is a reply too.
pub(super) async fn answer(edge: Arc<Edge>, last: bool, request: Request<Incoming>) -> Result<Reply, Infallible> {
    let began = Instant::now();
    let origin = request.headers().get(ORIGIN).cloned();
    let line = line(&request);
    let mut reply = dispatch(&edge, request).await.unwrap_or_else(|problem| problem.reply());
    edge.cors.add(reply.headers_mut(), origin.as_ref());
    let status = reply.status();
    // What is left of a body that was not read to its end must not be taken for the next request.
    if last || matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT) {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    info!(tag = %Tag::Http, "{line} {} {:.1}ms", status.as_u16(), began.elapsed().as_secs_f64() * 1000.0);
    Ok(reply)
}

async fn dispatch(edge: &Edge, request: Request<Incoming>) -> Result<Reply, Problem> {
    let route = Route::of(request.uri().path()).ok_or(Problem::NotFound)?;
    if request.method() == Method::OPTIONS {
        return Ok(Response::default());
    }
    if !route.allow().split(", ").any(|method| method == request.method().as_str()) {
        return Err(Problem::Method(route.allow()));
    }
    match route {
        Route::Submit => submit(edge, request).await,
        Route::Status => json(StatusCode::OK, &monaco::status(&*submission(edge, &request).await?)),
        Route::Result => json(StatusCode::OK, &monaco::result(&*submission(edge, &request).await?)),
        Route::QueueStats => json(StatusCode::OK, &monaco::queue_stats(edge.ledger.stats())),
        Route::Health => Ok(plain("ok")),
        Route::Ready if edge.ledger.is_open() => Ok(plain("ok")),
        Route::Ready => Err(crate::model::Refusal::ShuttingDown.into()),
    }
}

async fn submit(edge: &Edge, request: Request<Incoming>) -> Result<Reply, Problem> {
    let body = body::read(request.into_body(), edge.http.body, edge.http.body_time).await?;
    let submission = decode::submission(&body)?;
    drop(body);
    let ledger = Arc::clone(&edge.ledger);
    // A task of its own, so that a client who goes away cannot leave it half done.
    let admitted = tokio::spawn(async move { ledger.admit(submission).await }).await;
    let id = admitted.map_err(|failure| {
        error!(tag = %Tag::Http, "an admission broke off: {failure}");
        Problem::Internal
    })??;
    json(StatusCode::ACCEPTED, &monaco::Accepted { id })
}

async fn submission(edge: &Edge, request: &Request<Incoming>) -> Result<Arc<Submission>, Problem> {
    let text = query::id(request.uri().query().unwrap_or_default());
    if text.is_empty() {
        return Err(Problem::NoId);
    }
    let id = canonical(&text).ok_or(Problem::UnknownId)?;
    let found = edge.ledger.lookup(id).await.map_err(|failure| {
        error!(tag = %Tag::Http, "{id} cannot be looked up: {failure}");
        Problem::Unreadable
    })?;
    found.ok_or(Problem::UnknownId)
}

/// The id, if it is written the way that we write it; other spellings of a UUID are not one that we gave out.
fn canonical(text: &[u8]) -> Option<JobId> {
    let id: JobId = std::str::from_utf8(text).ok()?.parse().ok()?;
    (id.to_string().as_bytes() == text).then_some(id)
}

fn json(status: StatusCode, value: &impl Serialize) -> Result<Reply, Problem> {
    let mut body = serde_json::to_vec(value).map_err(|failure| {
        error!(tag = %Tag::Http, "a reply cannot be written: {failure}");
        Problem::Internal
    })?;
    body.push(b'\n');
    let mut reply = Response::new(body.into());
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(reply)
}

fn plain(text: &'static str) -> Reply {
    let mut reply = Response::new(text.into());
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}

/// The request as the log shows it: of the query only an id that could be ours. Control characters cannot occur in a
/// path that hyper accepted; the log escapes them all the same.
fn line(request: &Request<Incoming>) -> String {
    let short = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    let path = short(request.uri().path(), 200);
    let id = request.uri().query().and_then(|query| canonical(&query::id(query)));
    let id = id.map(|id| format!("?id={id}")).unwrap_or_default();
    format!("{} {path}{id}", short(request.method().as_str(), 20))
}
