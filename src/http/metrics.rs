//! `GET /metrics`: everything that is counted, as Prometheus reads it.

use std::sync::Arc;

use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Response};

use super::problem::Problem;
use super::reply::Reply;
use super::routes::{Edge, Route};
use super::v1;
use crate::metrics::{Book, CLASSIC, OPEN};

impl Edge {
    /// With this to show at `/metrics`, and with what is counted here in it.
    #[must_use]
    pub fn with_metrics(self, mut book: Book) -> Self {
        self.counts.enter(&mut book);
        let (counts, ledger, health) = (self.counts.clone(), Arc::clone(&self.ledger), Arc::clone(&self.health));
        let (bodies, results) = (Arc::clone(&self.bodies), Arc::clone(&self.results));
        book.before(move || {
            let ready = ledger.ready().is_ok() && health.broken().is_none();
            counts.look(bodies.held(), results.held(), ready);
        });
        Self { book: Some(Arc::new(book)), ..self }
    }

    /// An edge that serves `/metrics` alone, for a listener of its own; this one does not any more.
    #[must_use]
    pub fn metrics_apart(&mut self) -> Self {
        let cors = self.cors.clone();
        let own = Self::new(Arc::clone(&self.ledger), Arc::clone(&self.health), self.http, cors);
        let (counts, guard, hosts) = (self.counts.clone(), self.guard.clone(), self.hosts.clone());
        Self { book: self.book.take(), counts, guard, hosts, apart: true, ..own }
    }

    pub(super) fn serves(&self, route: Route) -> bool {
        match route {
            Route::Metrics => self.book.is_some(),
            Route::Page(_) => self.http.page && !self.apart,
            _ => !self.apart,
        }
    }

    /// With this to say of the languages, as [`languages`](super::languages) writes it.
    #[must_use]
    pub fn with_languages(self, document: Vec<u8>) -> Self {
        Self { languages: document.into(), ..self }
    }
}

impl Route {
    /// Its path, with the name of what differs from request to request.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Submit => "/submit",
            Self::Status => "/status",
            Self::Result => "/result",
            Self::QueueStats => "/queue-stats",
            Self::V1(route) => route.path(),
            Self::Health => "/healthz",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Page(file) => file.path(),
            Self::OpenApi => "/openapi.json",
        }
    }

    /// Whether a `POST` to it submits.
    pub const fn submits(self) -> bool {
        matches!(self, Self::Submit | Self::V1(v1::Route::Submissions | v1::Route::Batch))
    }
}

/// The reply, in the form that the request asks for.
///
/// # Errors
/// [`Problem::NotFound`] where nothing is shown.
pub fn show(book: Option<&Book>, headers: &HeaderMap) -> Result<Reply, Problem> {
    let open = wants_open(headers);
    let mut reply = Response::new(book.ok_or(Problem::NotFound)?.written(open).into());
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(if open { OPEN } else { CLASSIC }));
    Ok(reply)
}

/// Whether OpenMetrics is among what is accepted. Who reads both has the same numbers from either, so weights do not matter.
fn wants_open(headers: &HeaderMap) -> bool {
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case("application/openmetrics-text")
    })
}

/// The name of a method where it is one that some route knows: names are the client's own, and labels are not.
pub fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 5] = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}
