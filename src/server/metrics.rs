//! Where what is counted is shown.

use std::sync::Arc;

use super::StartError;
use crate::config::MetricsAt;
use crate::http::{self, Edge, ListenError, Listeners};
use crate::metrics::{Book, Store};
use crate::service::Ledger;
use crate::telemetry::Tag;
use crate::worker::Sandbox;

/// What every room below the edge counts; nothing where nobody is to see it.
pub(super) fn book(at: MetricsAt, ledger: &Arc<Ledger>, sandbox: &Arc<Sandbox>, store: &Store) -> Option<Book> {
    if at == MetricsAt::Off {
        return None;
    }
    let mut book = Book::new();
    ledger.enter(&mut book);
    sandbox.enter(&mut book);
    store.enter(&mut book);
    Some(book)
}

/// A listener of its own, where the settings want that.
pub(super) async fn listen(at: MetricsAt) -> Result<Option<Listeners>, StartError> {
    let MetricsAt::Apart(address) = at else { return Ok(None) };
    let listeners = http::listen(&[address.ip()], address.port()).await.map_err(|error| StartError::Metrics {
        address,
        why: match error {
            ListenError::InUse(_) => "another program has it",
            ListenError::Forbidden(_) => "this user may not have it",
            ListenError::NotHere(_) => "it is not of this host",
            ListenError::Bind { .. } | ListenError::Nothing => "it cannot be bound",
        },
    })?;
    for address in listeners.addresses() {
        tracing::info!(tag = %Tag::Http, "metrics at http://{address}/metrics");
    }
    Ok(Some(listeners))
}

/// The edge with the book, or beside it one of its own for the other listener.
pub(super) fn place(edge: Edge, book: Option<Book>, apart: Option<Listeners>) -> (Edge, Option<(Listeners, Edge)>) {
    let Some(book) = book else { return (edge, None) };
    let mut edge = edge.with_metrics(book);
    let apart = apart.map(|listeners| (listeners, edge.metrics_apart()));
    (edge, apart)
}
