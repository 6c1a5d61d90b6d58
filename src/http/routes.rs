//! Which handler answers what. Each decodes, calls the service once, encodes.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, ORIGIN};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::cors::Cors;
use super::guard::{self, Guard};
use super::host::Hosts;
use super::output::Output;
use super::places::{Seat, Waits};
use super::problem::Problem;
use super::reply::{Content, Reply};
use super::room::Room;
use super::stall::Pulse;
use super::v1::Endings;
use super::{body, decode, key, metrics, monaco, page, query, v1};
use crate::config::HttpSettings;
use crate::health::Health;
use crate::metrics::Book;
use crate::model::{self, JobId, Owner, Refusal, Submission};
use crate::service::Ledger;
use crate::store::StoreError;
use crate::telemetry::{Tag, chain};

/// Results that are read from the store at the same time; each may be as large as a job's output.
const READS: usize = 8;

/// Bytes of output that a reply holds without asking for room: of the order of what a connection holds anyway.
pub(super) const SMALL: usize = 16 << 10;

/// How long a client waits for the end of a submission that it cancels to be stored.
const CANCEL: Duration = Duration::from_secs(5);

/// What the handlers share.
#[derive(Debug)]
pub struct Edge {
    pub(super) ledger: Arc<Ledger>,
    pub(super) health: Arc<Health>,
    /// The bounds.
    pub(super) http: HttpSettings,
    pub(super) cors: Cors,
    pub(super) guard: Guard,
    pub(super) hosts: Hosts,
    /// Room for the bodies of all requests, and for the results that clients are taking.
    pub(super) bodies: Arc<Room>,
    pub(super) results: Arc<Room>,
    pub(super) requests: Semaphore,
    pub(super) reads: Semaphore,
    /// What `/v1/languages` says.
    pub(super) languages: Bytes,
    pub(super) counts: crate::metrics::Http,
    /// What `/metrics` shows; nothing where it is not served.
    pub(super) book: Option<Arc<Book>>,
    /// Whether `/metrics` is all that is served.
    pub(super) apart: bool,
    /// Places for those who follow a submission.
    pub(super) listeners: Arc<Semaphore>,
    /// Reports that some of them are reading.
    pub(super) endings: Endings,
}

impl Edge {
    /// The edge of this service.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>, health: Arc<Health>, http: HttpSettings, cors: Cors) -> Self {
        let bodies = http.bodies.0.max(http.body.0);
        let submission = model::Bytes(http.submission.0.min(bodies));
        Self {
            ledger,
            health,
            cors,
            guard: Guard::default(),
            hosts: Hosts::default(),
            bodies: Room::new(bodies, http.rate.0),
            results: Room::new(http.results.0, http.rate.0),
            requests: Semaphore::new(http.requests),
            reads: Semaphore::new(READS),
            languages: Bytes::from_static(b"{\"languages\":[]}\n"),
            counts: crate::metrics::Http::default(),
            book: None,
            apart: false,
            listeners: Arc::new(Semaphore::new(http.listeners)),
            endings: Endings::default(),
            http: HttpSettings { submission, ..http },
        }
    }

    /// The same, with a guard at its routes.
    #[must_use]
    pub fn guarded(self, guard: Guard) -> Self {
        Self { guard, ..self }
    }
}

/// One connection, as its handlers see it.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub edge: Arc<Edge>,
    pub seat: Arc<Seat>,
    pub pulse: Arc<Pulse>,
    /// Fires when the service leaves: nobody is to be kept waiting any more.
    pub leave: CancellationToken,
    /// Whose token came with the request, where the route wants one.
    pub owner: Option<Owner>,
}

/// A request under way, until its reply is handed over whole.
struct Open(Client);

impl Open {
    fn new(client: &Client) -> Self {
        client.pulse.open.fetch_add(1, Ordering::AcqRel);
        client.pulse.used.store(true, Ordering::Release);
        client.seat.works();
        Self(client.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.seat.waits(Waits::Head);
        self.0.pulse.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The paths that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Submit,
    Status,
    Result,
    QueueStats,
    V1(v1::Route),
    Health,
    Ready,
    Metrics,
    Page(page::File),
    OpenApi,
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
            "/metrics" => Self::Metrics,
            "/openapi.json" => Self::OpenApi,
            _ => return page::File::at(path).map(Self::Page).or_else(|| v1::Route::of(path).map(Self::V1)),
        })
    }

    /// The submission that a request to it is about.
    fn id(self, request: &Request<Incoming>) -> Option<JobId> {
        match self {
            Self::Status | Self::Result => asked(request).ok(),
            Self::V1(route) => route.id(),
            Self::Submit
            | Self::QueueStats
            | Self::Health
            | Self::Ready
            | Self::Metrics
            | Self::Page(_)
            | Self::OpenApi => None,
        }
    }

    const fn allow(self) -> &'static str {
        match self {
            Self::Submit => "POST, OPTIONS",
            // The contract names the methods of these.
            Self::Status | Self::Result | Self::QueueStats => "GET, OPTIONS",
            Self::V1(route) => route.allow(),
            Self::Health | Self::Ready | Self::Metrics | Self::Page(_) | Self::OpenApi => "GET, HEAD, OPTIONS",
        }
    }
}

/// Answers one request. `last` says that the connection is to be closed after it.
///
/// # Errors
/// Never: a problem is a reply too.
pub(super) async fn answer(client: Client, last: bool, request: Request<Incoming>) -> Result<Reply, Infallible> {
    let began = Instant::now();
    let open = Open::new(&client);
    let origin = request.headers().get(ORIGIN).cloned();
    let line = line(&request);
    let route = Route::of(request.uri().path()).filter(|route| client.edge.serves(*route));
    let method = metrics::method(request.method());
    if !request.body().is_end_stream() {
        client.pulse.unread.store(true, Ordering::Release);
    }
    let below_v1 = request.uri().path().starts_with(v1::PREFIX);
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let lists = matches!(route, Some(Route::V1(v1::Route::Submissions))) && reads;
    let told = if below_v1 { v1::problem::reply } else { Problem::reply };
    let mut reply = dispatch(&client, route, request).await.unwrap_or_else(|problem| {
        if method == "POST" && route.is_some_and(Route::submits) {
            client.edge.counts.refused(v1::problem::kind(&problem));
        }
        told(&problem)
    });
    let guarded = (below_v1 || route.is_some()) && client.edge.guard.wants(route);
    // What a page could not know by itself is for named origins alone, tokens or not.
    let guarded = guarded || lists;
    client.edge.cors.add(reply.headers_mut(), origin.as_ref(), guarded);
    if below_v1 {
        Cors::add_v1(reply.headers_mut());
    }
    let status = reply.status();
    client.edge.counts.answered(route.map_or("other", Route::path), method, status.as_u16());
    // What is left of a body that was given up must not be taken for the next request.
    let given_up =
        matches!(status, StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE);
    if last || (given_up && client.pulse.unread.load(Ordering::Acquire)) {
        reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    client.seat.waits(reply.body().waits());
    reply.body_mut().keep(open);
    info!(tag = %Tag::Http, "{line} {} {:.1}ms", status.as_u16(), began.elapsed().as_secs_f64() * 1000.0);
    Ok(reply)
}

async fn dispatch(client: &Client, route: Option<Route>, request: Request<Incoming>) -> Result<Reply, Problem> {
    client.edge.hosts.pass(request.uri(), request.headers())?;
    let route = route.ok_or(Problem::NotFound)?;
    if request.method() == Method::OPTIONS {
        return Ok(Response::default());
    }
    if !route.allow().split(", ").any(|method| method == request.method().as_str()) {
        return Err(Problem::Method(route.allow()));
    }
    let client = &guard::pass(client, route, request.headers(), route.id(&request)).await?;
    let edge = &client.edge;
    match route {
        Route::Submit => submit(client, request).await,
        Route::Status => {
            let _place = place(edge)?;
            let id = asked(&request)?;
            json(StatusCode::OK, &monaco::status(&*found(id, edge.ledger.status(id).await)?))
        }
        Route::Result => {
            let _place = place(edge)?;
            result(client, &request).await
        }
        Route::V1(route) => v1::answer(client, route, request).await,
        Route::QueueStats => json(StatusCode::OK, &monaco::queue_stats(edge.ledger.stats())),
        Route::Health => Ok(plain("ok")),
        Route::Page(file) => Ok(file.reply()),
        Route::Ready => ready(edge),
        Route::OpenApi => Ok(v1::openapi::show()),
        Route::Metrics => metrics::show(edge.book.as_deref(), request.headers()),
    }
}

/// Whether submissions are taken and can be carried out.
fn ready(edge: &Edge) -> Result<Reply, Problem> {
    edge.ledger.ready()?;
    edge.health.broken().map_or_else(|| Ok(plain("ok")), |broken| Err(Problem::NotReady(broken)))
}

/// A place among the requests that are worked for.
pub(super) fn place(edge: &Edge) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
    edge.requests.try_acquire().map_err(|_| Problem::TooMany("requests"))
}

async fn submit(client: &Client, request: Request<Incoming>) -> Result<Reply, Problem> {
    let edge = &client.edge;
    // Held until the submission is in the ledger's hands.
    let guest = edge.bodies.enter(client.seat.gone());
    let (head, body) = request.into_parts();
    let body = body::read(body, edge.http.body, edge.http.body_time, &guest, &client.seat).await?;
    client.pulse.unread.store(false, Ordering::Release);
    let _place = place(edge)?;
    let key = key::of(&head.headers, &body)?;
    let submission = decode::submission(&body)?;
    drop(body);
    let (ledger, owner) = (Arc::clone(&edge.ledger), client.owner.clone());
    // A task of its own, so that a client who goes away cannot leave it half done.
    let admitted = tokio::spawn(async move { ledger.admit(owner, submission, key).await }).await;
    let id = admitted.map_err(|failure| broken_off(&failure))??;
    json(StatusCode::ACCEPTED, &monaco::Accepted { id })
}

async fn result(client: &Client, request: &Request<Incoming>) -> Result<Reply, Problem> {
    let edge = &client.edge;
    let reading = edge.reads.acquire().await.map_err(|_| Problem::Internal)?;
    let id = asked(request)?;
    let found = found(id, edge.ledger.lookup(id).await)?;
    let size = Output::of(found.report.as_ref()).size(&found);
    if size <= SMALL {
        return content(found, None);
    }
    // Not held while room for it is waited for; an ended submission does not change.
    drop(found);
    drop(reading);
    let guest = edge.results.enter(client.seat.gone());
    client.seat.waits(Waits::Reply);
    guest.grow(size as u64, edge.http.write_time).await.map_err(|_| Problem::TooMany("results"))?;
    content(self::found(id, edge.ledger.lookup(id).await)?, Some(guest))
}

fn content(submission: Arc<Submission>, guest: Option<super::room::Guest>) -> Result<Reply, Problem> {
    let (head, mut tail) = monaco::result(&submission).map_err(unwritten)?;
    tail.push(b'\n');
    let output = Output::of(submission.report.as_ref());
    let parts = output.parts(head, &tail);
    Ok(as_json(StatusCode::OK, Content::result(submission, parts, guest)))
}

/// Cancels; how the submission stands then.
pub(super) async fn cancel(edge: &Edge, id: JobId) -> Result<Arc<Submission>, Problem> {
    let ledger = Arc::clone(&edge.ledger);
    // A task of its own, for the same reason; it goes on where the store makes the client wait too long.
    let cancelled = tokio::spawn(async move { ledger.cancel(id).await });
    let cancelled = tokio::time::timeout(CANCEL, cancelled).await.map_err(|_| Refusal::StoreUnavailable)?;
    found(id, cancelled.map_err(|failure| broken_off(&failure))?)
}

pub(super) fn broken_off(failure: &tokio::task::JoinError) -> Problem {
    error!(tag = %Tag::Http, "a request broke off: {failure}");
    Problem::Internal
}

/// The id in the query.
fn asked(request: &Request<Incoming>) -> Result<JobId, Problem> {
    let text = query::id(request.uri().query().unwrap_or_default());
    if text.is_empty() { Err(Problem::NoId) } else { canonical(&text).ok_or(Problem::UnknownId) }
}

pub(super) fn found(id: JobId, found: Result<Option<Arc<Submission>>, StoreError>) -> Result<Arc<Submission>, Problem> {
    let found = found.map_err(|failure| {
        error!(tag = %Tag::Http, "{id} cannot be looked up: {}", chain(&failure));
        Problem::Unreadable
    })?;
    found.ok_or(Problem::UnknownId)
}

/// The id, if it is written the way that we write it; other spellings of a UUID are not one that we gave out.
pub(super) fn canonical(text: &[u8]) -> Option<JobId> {
    let id: JobId = std::str::from_utf8(text).ok()?.parse().ok()?;
    (id.to_string().as_bytes() == text).then_some(id)
}

fn json(status: StatusCode, value: &impl Serialize) -> Result<Reply, Problem> {
    let mut body = serde_json::to_vec(value).map_err(unwritten)?;
    body.push(b'\n');
    Ok(as_json(status, body.into()))
}

pub(super) fn as_json(status: StatusCode, content: Content) -> Reply {
    let mut reply = Response::new(content);
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

// By value, as `map_err` hands it over.
#[allow(clippy::needless_pass_by_value)]
pub(super) fn unwritten(failure: serde_json::Error) -> Problem {
    error!(tag = %Tag::Http, "a reply cannot be written: {failure}");
    Problem::Internal
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

/// The methods that a path knows, for those who describe it.
#[cfg(test)]
pub(super) fn allowed(path: &str) -> Option<&'static str> {
    Route::of(path).map(Route::allow)
}
