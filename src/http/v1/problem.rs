//! Replies that are not a success, as problem documents (RFC 9457): what is wrong with which field, and what to do.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Number;

use crate::health::Broken;
use crate::http::problem::{LONGEST_ECHO, Problem};
use crate::http::reply::Reply;
use crate::model::{Fault, Refusal};
use crate::telemetry::escaped;

/// A problem document. `type` names the kind of problem and leads nowhere.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Document<'a> {
    /// The kind of problem, as a URN.
    r#type: String,
    /// The same in words.
    title: &'static str,
    /// The status of the answer; in a batch what it would have been.
    #[schemars(extend("minimum" = 400, "maximum" = 599))]
    status: u16,
    /// What is wrong this time.
    detail: String,
    /// With what: the path of a field, `?` and the name of a parameter, or the name of a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// What that is, as text, cut where it is long.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// The least that it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    least: Option<Number>,
    /// The most that it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling: Option<Number>,
    /// What to do.
    remedy: String,
}

/// The reply to a request below `/v1/`.
pub fn reply(problem: &Problem) -> Reply {
    // Strings and numbers can always be written.
    let body = serde_json::to_string(&document(problem)).unwrap_or_default() + "\n";
    problem.reply_with(body, "application/problem+json")
}

/// The document of a problem.
pub fn document(problem: &Problem) -> Document<'_> {
    let (kind, title, remedy) = words(problem);
    let mut document = Document {
        r#type: urn(kind),
        title,
        status: problem.status().as_u16(),
        detail: escaped(&problem.text()),
        field: None,
        value: None,
        least: None,
        ceiling: None,
        remedy: remedy.to_owned(),
    };
    match problem {
        Problem::Invalid { field, remedy, .. } => {
            (document.field, document.remedy) = (Some(field.as_str()), remedy.clone());
        }
        Problem::Refused(Refusal::BadValue { field, value, remedy, .. }) => {
            (document.field, document.remedy) = (Some(field.as_str()), remedy.clone());
            document.value = value.as_ref().map(|value| value.chars().take(LONGEST_ECHO).collect());
        }
        Problem::Refused(Refusal::OutOfRange { field, value, least, most }) => {
            (document.field, document.value) = (Some(field.as_str()), Some(value.clone()));
            (document.least, document.ceiling) = (Some((*least).into()), Some((*most).into()));
            document.remedy = format!("give a whole number from {least} to {most}, or leave it out");
        }
        Problem::Beyond { parameter, value, least, most } => {
            (document.field, document.value) = (Some(parameter.as_str()), Some(value.clone()));
            (document.least, document.ceiling) = (Some(least.clone()), Some(most.clone()));
            document.remedy = format!("give a number from {least} to {most}, or leave it out");
        }
        Problem::Encoded(coding) => {
            (document.field, document.value) = (Some("Content-Encoding"), Some(coding.clone()));
        }
        Problem::UnknownHost(host) => (document.field, document.value) = (Some("Host"), Some(host.clone())),
        Problem::BadKey => {
            document.field = Some("Idempotency-Key");
            "Idempotency-Key: it is empty, too long, there twice or not printable ASCII"
                .clone_into(&mut document.detail);
        }
        _ => {}
    }
    document
}

/// The name of a kind.
pub fn urn(kind: &str) -> String {
    format!("urn:casemate:problem:{kind}")
}

/// One problem of each kind.
fn samples() -> Vec<Problem> {
    let text = String::new;
    let bad = Refusal::BadValue { field: text(), value: None, wrong: text(), remedy: text() };
    let range = Refusal::OutOfRange { field: text(), value: text(), least: 0, most: 0 };
    let full = Refusal::QueueFull { retry_after: Duration::ZERO };
    let rate = Refusal::RateExceeded { retry_after: Duration::ZERO };
    let waiting = Refusal::TooManyWaiting { retry_after: Duration::ZERO };
    let refusals =
        [bad, range, full, rate, waiting, Refusal::KeyReused, Refusal::StoreUnavailable, Refusal::ShuttingDown];
    let broken = Broken::sample(Fault::Runtime);
    let others = [
        Problem::Invalid { field: text(), detail: text(), remedy: text() },
        Problem::BadKey,
        Problem::NoToken { wrong: false },
        Problem::UnknownHost(text()),
        Problem::UnknownId,
        Problem::NotFound,
        Problem::Method(""),
        Problem::TooLarge(0),
        Problem::Encoded(text()),
        Problem::TooSlow,
        Problem::TooMany(""),
        Problem::NotReady(broken),
        Problem::Internal,
    ];
    refusals.into_iter().map(Problem::Refused).chain(others).collect()
}

/// Kinds of problems that `wanted` says, with their titles, by the status that they are told with.
pub fn by_status(wanted: impl Fn(&str) -> bool) -> BTreeMap<u16, Vec<(&'static str, &'static str)>> {
    let mut all: BTreeMap<u16, Vec<_>> = BTreeMap::new();
    for problem in samples() {
        let (kind, title, _) = words(&problem);
        if wanted(kind) {
            all.entry(problem.status().as_u16()).or_default().push((kind, title));
        }
    }
    all
}

/// What a number beyond its bounds is told as, wherever it stands.
const OUT_OF_RANGE: (&str, &str, &str) = ("out_of_range", "A number is not within its bounds", "");

/// The kind of problem.
pub const fn kind(problem: &Problem) -> &'static str {
    words(problem).0
}

/// The kind of problem, its title, and what to do where nothing more is known.
const fn words(problem: &Problem) -> (&'static str, &'static str, &'static str) {
    match problem {
        Problem::Refused(refusal) => refused(refusal),
        Problem::Invalid { .. } | Problem::BrokenBody | Problem::NoId => {
            ("malformed_request", "The request cannot be read", "send one JSON object with a length or in chunks")
        }
        Problem::Beyond { .. } => OUT_OF_RANGE,
        Problem::BadKey => {
            ("bad_key", "The key cannot be one", "send the header once, with 1 to 255 printable ASCII characters")
        }
        Problem::NoToken { .. } => (
            "no_token",
            "A token is required",
            "send the header `Authorization: Bearer TOKEN` with a token that the operator gave you",
        ),
        Problem::UnknownHost(_) => (
            "unknown_host",
            "The request is for another host",
            "call it by its address or as `localhost`; the operator can name others with `http.hosts`",
        ),
        Problem::UnknownId => (
            "unknown_submission",
            "There is no such submission",
            "use an id as it was given out; results are kept for a time",
        ),
        Problem::Unreadable => ("store_unavailable", "The store cannot be used", "try again later"),
        Problem::NotFound => ("unknown_path", "There is no such path", "see the documentation of the API"),
        Problem::Method(_) => ("unknown_method", "The path does not know this method", "use one of those in `Allow`"),
        Problem::Encoded(_) => (
            "unknown_encoding",
            "The body is encoded in a way that is not understood",
            "send it as it is, without `Content-Encoding`",
        ),
        Problem::TooLarge(_) => ("too_large", "The body is too large", "send less, or raise the operator's limit"),
        Problem::TooSlow => ("too_slow", "The body did not arrive in time", "send it at once"),
        Problem::TooMany(_) => ("too_many", "Too much at once", "try again later"),
        Problem::NotReady(_) => ("not_ready", "Jobs cannot be carried out", "try again later"),
        Problem::Internal => ("internal", "The service failed", "try again; the log of the service has the cause"),
    }
}

const fn refused(refusal: &Refusal) -> (&'static str, &'static str, &'static str) {
    match refusal {
        Refusal::UnsupportedLanguage(_) | Refusal::CodeRequired | Refusal::InvalidBody(_) => {
            ("malformed_request", "The request cannot be read", "send one JSON object")
        }
        Refusal::BadValue { .. } => ("bad_value", "A field has a value that it cannot have", ""),
        Refusal::OutOfRange { .. } => OUT_OF_RANGE,
        Refusal::QueueFull { .. } => ("queue_full", "As many submissions wait as may", "try again after `Retry-After`"),
        Refusal::RateExceeded { .. } => {
            ("rate_exceeded", "Submissions come faster than the token's rate", "try again after `Retry-After`")
        }
        Refusal::TooManyWaiting { .. } => {
            ("too_many_waiting", "As many of the token's submissions wait as may", "try again after `Retry-After`")
        }
        Refusal::KeyReused => ("key_reused", "The key was used for another submission", "use a new key"),
        Refusal::StoreUnavailable => ("store_unavailable", "The store cannot be used", "try again later"),
        Refusal::ShuttingDown => ("shutting_down", "The service is going down", "try again after its next start"),
    }
}
