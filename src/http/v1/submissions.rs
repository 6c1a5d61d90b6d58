//! Submitting, showing, waiting, cancelling.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderValue, LOCATION};
use hyper::{Request, StatusCode};

use super::{PREFIX, decode, document, query};
use crate::http::places::Waits;
use crate::http::problem::Problem;
use crate::http::reply::{Content, Part, Reply};
use crate::http::routes::{self, Client, SMALL, broken_off, found, place};
use crate::http::{body, key};
use crate::model::{JobId, Submission};

/// `POST /v1/submissions`.
pub async fn submit(client: &Client, request: Request<Incoming>) -> Result<Reply, Problem> {
    let edge = &client.edge;
    let patience = query::wait(request.uri().query().unwrap_or_default(), edge.http.wait)?;
    let id = {
        // Held until the submission is in the ledger's hands.
        let guest = edge.bodies.enter(client.seat.gone());
        let (head, body) = request.into_parts();
        body::uncoded(&head.headers)?;
        let body = body::read(body, edge.http.submission, edge.http.body_time, &guest, &client.seat).await?;
        client.pulse.unread.store(false, Ordering::Release);
        let _place = place(edge)?;
        let key = key::of(&head.headers, &body)?;
        let draft = decode::draft(&body)?;
        drop(body);
        let (ledger, owner) = (Arc::clone(&edge.ledger), client.owner.clone());
        // A task of its own, so that a client who goes away cannot leave it half done.
        let admitted = tokio::spawn(async move { ledger.admit_draft(owner, draft, key).await }).await;
        admitted.map_err(|failure| broken_off(&failure))??
    };
    let mut reply = after(client, id, patience, [StatusCode::CREATED, StatusCode::ACCEPTED]).await?;
    if let Ok(location) = HeaderValue::try_from(format!("{PREFIX}submissions/{id}")) {
        reply.headers_mut().insert(LOCATION, location);
    }
    Ok(reply)
}

/// `GET /v1/submissions/{id}`.
pub async fn show(client: &Client, id: JobId, query: &str) -> Result<Reply, Problem> {
    let patience = query::wait(query, client.edge.http.wait)?;
    after(client, id, patience, [StatusCode::OK; 2]).await
}

/// `DELETE /v1/submissions/{id}`.
pub async fn cancel(client: &Client, id: JobId, query: &str) -> Result<Reply, Problem> {
    query::pairs(query, &[])?;
    let _place = place(&client.edge)?;
    let submission = routes::cancel(&client.edge, id).await?;
    let status = if submission.state.ended() { StatusCode::OK } else { StatusCode::ACCEPTED };
    whole(status, submission, None)
}

/// Waits for the end; then the document, with the first status if it has ended, else with the second.
async fn after(
    client: &Client,
    id: JobId,
    patience: Duration,
    [ended, waits]: [StatusCode; 2],
) -> Result<Reply, Problem> {
    let edge = &client.edge;
    if !patience.is_zero() {
        // It is the client who has time; if his place is wanted by others meanwhile, he is told how things stand.
        client.seat.waits(Waits::End);
        tokio::select! {
            biased;
            known = edge.ledger.ended(id, patience) => drop(found(id, known)?),
            () = client.seat.gone().cancelled() => {}
            () = client.leave.cancelled() => {}
        }
        client.seat.works();
    } else if waits == StatusCode::ACCEPTED {
        // As it was accepted; whether it has ended meanwhile is not asked.
        let submission = found(id, edge.ledger.status(id).await)?;
        return whole(waits, submission, None);
    }
    let _place = place(edge)?;
    let reading = edge.reads.acquire().await.map_err(|_| Problem::Internal)?;
    let submission = found(id, edge.ledger.lookup(id).await)?;
    let status = if submission.state.ended() { ended } else { waits };
    let parts = parts(&submission)?;
    let size: u64 = parts.iter().map(|part| part.held(&submission)).sum();
    if size <= SMALL as u64 {
        return Ok(reply(status, submission, parts, None));
    }
    // Not held while room for it is waited for; an ended submission does not change.
    drop((submission, parts, reading));
    let guest = edge.results.enter(client.seat.gone());
    client.seat.waits(Waits::Reply);
    guest.grow(size, edge.http.write_time).await.map_err(|_| Problem::TooMany("results"))?;
    whole(status, found(id, edge.ledger.lookup(id).await)?, Some(guest))
}

fn whole(
    status: StatusCode,
    submission: Arc<Submission>,
    guest: Option<crate::http::room::Guest>,
) -> Result<Reply, Problem> {
    let parts = parts(&submission)?;
    Ok(reply(status, submission, parts, guest))
}

fn parts(submission: &Submission) -> Result<Vec<Part>, Problem> {
    document::parts(submission).map_err(routes::unwritten)
}

fn reply(
    status: StatusCode,
    submission: Arc<Submission>,
    parts: Vec<Part>,
    guest: Option<crate::http::room::Guest>,
) -> Reply {
    routes::as_json(status, Content::result(submission, parts, guest))
}
