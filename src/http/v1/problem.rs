//! Replies that are not a success, as problem documents (RFC 9457): what is wrong with which field, and what to do.

use serde::Serialize;

use crate::http::problem::{LONGEST_ECHO, Problem};
use crate::http::reply::Reply;
use crate::model::Refusal;
use crate::telemetry::escaped;

/// A problem document. `type` names the kind of problem and leads nowhere.
#[derive(Debug, Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    least: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling: Option<u64>,
    remedy: String,
}

/// The reply to a request below `/v1/`.
pub fn reply(problem: &Problem) -> Reply {
    let (kind, title, remedy) = words(problem);
    let mut document = Document {
        r#type: format!("urn:casemate:problem:{kind}"),
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
        Problem::Refused(Refusal::BadValue { field, value, remedy }) => {
            (document.field, document.remedy) = (Some(field.as_str()), remedy.clone());
            document.value = Some(value.chars().take(LONGEST_ECHO).collect());
        }
        Problem::Refused(Refusal::OutOfRange { field, value, least, most }) => {
            (document.field, document.value) = (Some(field.as_str()), Some(value.to_string()));
            (document.least, document.ceiling) = (Some(*least), Some(*most));
            document.remedy = format!("give a number from {least} to {most}, or leave it out");
        }
        Problem::BadKey => document.field = Some("Idempotency-Key"),
        _ => {}
    }
    // Strings and numbers can always be written.
    let body = serde_json::to_string(&document).unwrap_or_default() + "\n";
    problem.reply_with(body, "application/problem+json")
}

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
        Problem::BadKey => {
            ("bad_key", "The key cannot be one", "send the header once, with 1 to 255 printable ASCII characters")
        }
        Problem::NoToken { .. } => (
            "no_token",
            "A token is required",
            "send the header `Authorization: Bearer TOKEN` with a token that the operator gave you",
        ),
        Problem::UnknownId => (
            "unknown_submission",
            "There is no such submission",
            "use an id as it was given out; results are kept for a time",
        ),
        Problem::Unreadable => ("store_unavailable", "The store does not answer", "try again later"),
        Problem::NotFound => ("unknown_path", "There is no such path", "see the documentation of the API"),
        Problem::Method(_) => ("unknown_method", "The path does not know this method", "use one of those in `Allow`"),
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
        Refusal::OutOfRange { .. } => ("out_of_range", "A number is not within its bounds", ""),
        Refusal::QueueFull { .. } => ("queue_full", "As many submissions wait as may", "try again after `Retry-After`"),
        Refusal::RateExceeded { .. } => {
            ("rate_exceeded", "Submissions come faster than the token's rate", "try again after `Retry-After`")
        }
        Refusal::TooManyWaiting { .. } => {
            ("too_many_waiting", "As many of the token's submissions wait as may", "try again after `Retry-After`")
        }
        Refusal::KeyReused => ("key_reused", "The key was used for another submission", "use a new key"),
        Refusal::StoreUnavailable => ("store_unavailable", "Submissions cannot be stored", "try again later"),
        Refusal::ShuttingDown => ("shutting_down", "The service is going down", "try again after its next start"),
    }
}
