//! `/v1/submissions:batch`: submitting several at once, and asking for several at once. What was printed is not part of the
//! answer, but for the first words of a checker that failed, so that a hundred of them fit into memory by any count.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::decode::Many;
use super::document::{Head, total};
use super::judged::Counts;
use super::openapi::schemas;
use super::{PREFIX, decode, problem, query, verdict};
use crate::http::places::Waits;
use crate::http::problem::Problem;
use crate::http::reply::Reply;
use crate::http::routes::{Client, as_json, broken_off, canonical, found, place, unwritten};
use crate::http::{body, key};
use crate::model::{JobId, Refusal, Submission};

/// Characters of an id that cannot be one that are repeated.
const ECHO: usize = 50;

/// Submissions that are read; the setting `http.batch` allows no more.
pub const MOST: usize = 1000;

/// Several submissions as they are sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// Read one by one, so that one that cannot be read keeps no other from being accepted.
    submissions: Many<Box<RawValue>, MOST>,
}

/// The reply to a batch: an answer for each, in order.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BatchAccepted")]
pub struct Accepted<'a> {
    /// What became of each.
    submissions: Vec<Answer<'a>>,
}

/// How several stand, in the order in which they were asked for.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "BatchShown")]
pub struct Shown<'a> {
    /// How each stands.
    submissions: Vec<Known<'a>>,
}

/// What became of one submission of a batch.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "BatchAnswer")]
struct Answer<'a> {
    /// Null where it was refused.
    #[schemars(schema_with = "schemas::id_or_null")]
    id: Option<JobId>,
    /// Where to ask for it.
    location: Option<String>,
    /// Why it was refused.
    problem: Option<problem::Document<'a>>,
}

/// How one submission stands, or why that cannot be told.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "BatchOne")]
enum Known<'a> {
    Here(&'a Summary),
    Not {
        /// What was asked for, cut where it is long.
        id: String,
        /// Why it cannot be told.
        problem: problem::Document<'a>,
    },
}

/// A submission without its steps; the members are those of the whole document.
#[derive(Debug, Serialize, JsonSchema)]
struct Summary {
    #[serde(flatten)]
    head: Head<'static>,
    /// How it ended, in one word; null until then.
    #[schemars(schema_with = "schemas::verdict_or_null")]
    verdict: Option<&'static str>,
    /// The limit behind the verdict.
    limit: Option<&'static str>,
    /// With `internal_error`: what went wrong with the service, or with the client's checker.
    error: Option<String>,
    /// Wall-clock time of all steps together, in microseconds.
    wall_us: Option<u64>,
    /// Processor time of all steps together, in microseconds.
    cpu_us: Option<u64>,
    /// The most memory that one step held.
    memory_bytes: Option<u64>,
    /// Tests that are accepted; null where it has none.
    passed: Option<usize>,
    /// Tests that are not.
    failed: Option<usize>,
    /// Tests that did not take place.
    not_run: Option<usize>,
}

/// `POST /v1/submissions:batch`.
pub async fn submit(client: &Client, request: Request<Incoming>) -> Result<Reply, Problem> {
    let edge = &client.edge;
    query::pairs(request.uri().query().unwrap_or_default(), &[])?;
    // Held until the submissions are in the ledger's hands.
    let guest = edge.bodies.enter(client.seat.gone());
    let (head, body) = request.into_parts();
    body::uncoded(&head.headers)?;
    let body = body::read(body, edge.http.submission, edge.http.body_time, &guest, &client.seat).await?;
    client.pulse.unread.store(false, Ordering::Release);
    let _place = place(edge)?;
    let key = key::of(&head.headers, &body)?;
    let Batch { submissions } = decode::parse(&body)?;
    drop(body);
    let submissions = submissions.all("submissions", "submissions")?;
    bounded("submissions", submissions.len(), edge.http.batch)?;
    let mut answers: Vec<Result<JobId, Problem>> = Vec::with_capacity(submissions.len());
    let (mut drafts, mut places) = (Vec::new(), Vec::new());
    for (at, text) in submissions.into_iter().enumerate() {
        answers.push(Err(Problem::Internal));
        match decode::draft(text.get().as_bytes()) {
            Ok(draft) => {
                drafts.push(draft);
                places.push(at);
            }
            Err(problem) => answers[at] = Err(problem),
        }
    }
    let (ledger, owner) = (Arc::clone(&edge.ledger), client.owner.clone());
    // A task of its own, so that a client who goes away cannot leave it half done.
    let admitted = tokio::spawn(async move { ledger.admit_batch(owner, drafts, key).await }).await;
    let admitted = admitted.map_err(|failure| broken_off(&failure))??;
    for (at, answer) in places.into_iter().zip(admitted) {
        answers[at] = answer.map_err(Problem::Refused);
    }
    let told = answers.iter().map(|answer| match answer {
        Ok(id) => Answer { id: Some(*id), location: Some(format!("{PREFIX}submissions/{id}")), problem: None },
        Err(refused) => {
            edge.counts.refused(problem::kind(refused));
            Answer { problem: Some(problem::document(refused)), ..Answer::default() }
        }
    });
    json(&Accepted { submissions: told.collect() })
}

/// `GET /v1/submissions:batch`.
pub async fn show(client: &Client, query: &str) -> Result<Reply, Problem> {
    let edge = &client.edge;
    let (mut ids, mut patience) = (String::new(), Duration::ZERO);
    for (name, value) in query::pairs(query, &["ids", "wait"])? {
        match name.as_str() {
            "ids" => ids = value,
            _ => patience = query::seconds(&name, &value, edge.http.wait)?,
        }
    }
    let ids: Vec<&str> = ids.split(',').filter(|id| !id.is_empty()).collect();
    bounded("?ids", ids.len(), edge.http.batch)?;
    let known: Vec<JobId> = ids.iter().filter_map(|id| canonical(id.as_bytes())).collect();
    if !patience.is_zero() {
        client.seat.waits(Waits::End);
        tokio::select! {
            biased;
            () = ended(client, &known, patience) => {}
            () = client.seat.gone().cancelled() => {}
            () = client.leave.cancelled() => {}
        }
        client.seat.works();
    }
    let _place = place(edge)?;
    let mut submissions = Vec::with_capacity(ids.len());
    for text in ids {
        // One at a time: each comes with all that it printed.
        let reading = edge.reads.acquire().await.map_err(|_| Problem::Internal)?;
        let looked = match canonical(text.as_bytes()) {
            Some(id) => found(id, edge.ledger.lookup(id).await),
            None => Err(Problem::UnknownId),
        };
        // What another token submitted is not there for this one.
        let guarded = client.owner.is_some();
        let looked =
            looked.and_then(|one| if guarded && one.owner != client.owner { Err(Problem::UnknownId) } else { Ok(one) });
        submissions.push(looked.map(|submission| summary(&submission)).map_err(|problem| (text, problem)));
        drop(reading);
    }
    let told = submissions.iter().map(|one| match one {
        Ok(summary) => Known::Here(summary),
        Err((id, problem)) => Known::Not { id: id.chars().take(ECHO).collect(), problem: problem::document(problem) },
    });
    json(&Shown { submissions: told.collect() })
}

/// Waits until all of them have ended, or for so long.
async fn ended(client: &Client, ids: &[JobId], patience: Duration) {
    let deadline = Instant::now() + patience;
    for id in ids {
        let left = deadline.saturating_duration_since(Instant::now());
        // What cannot be read is told to the client afterwards.
        let _ = client.edge.ledger.ended(*id, left).await;
    }
}

fn summary(submission: &Submission) -> Summary {
    let report = &submission.report;
    let how = report.as_ref().map(verdict::ending);
    let counts = report.as_ref().and_then(Counts::of);
    let seen = || report.iter().flat_map(|report| report.compile.iter().chain(&report.runs)).map(|step| &step.evidence);
    let step = report.as_ref().zip(how.as_ref()).and_then(|(report, how)| how.step?.of(report));
    Summary {
        head: Head::of(submission).owned(),
        verdict: how.as_ref().map(|how| how.verdict),
        limit: step.and_then(|step| verdict::limit(step.verdict)),
        error: how.and_then(|how| how.error),
        wall_us: total(seen().map(|seen| seen.elapsed.map(|t| t.0))),
        cpu_us: total(seen().map(|seen| seen.cpu_time.map(|t| t.0))),
        memory_bytes: seen().filter_map(|seen| seen.memory_peak.map(|b| b.0)).max(),
        passed: counts.map(|counts| counts.passed),
        failed: counts.map(|counts| counts.failed),
        not_run: counts.map(|counts| counts.not_run),
    }
}

/// Some, and no more than `most`.
fn bounded(field: &str, number: usize, most: usize) -> Result<(), Problem> {
    if (1..=most).contains(&number) {
        return Ok(());
    }
    let (wrong, remedy) = match number {
        0 => ("there are none in it", "give at least one".to_owned()),
        _ => ("there are too many in it", format!("give at most {most} at once")),
    };
    let (field, value, wrong) = (field.to_owned(), Some(number.to_string()), wrong.to_owned());
    Err(Problem::Refused(Refusal::BadValue { field, value, wrong, remedy }))
}

fn json(value: &impl Serialize) -> Result<Reply, Problem> {
    let mut body = serde_json::to_vec(value).map_err(unwritten)?;
    body.push(b'\n');
    Ok(as_json(StatusCode::OK, body.into()))
}
