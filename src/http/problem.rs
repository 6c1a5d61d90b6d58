//! Replies that are not a success: plain text, one line. `v1::problem` has another form for the routes below `/v1/`.

use hyper::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::Number;

use super::reply::Reply;
use crate::health::Broken;
use crate::model::Refusal;
use crate::telemetry::escaped;

/// Every reason for a reply that is not a success.
#[derive(Debug)]
pub enum Problem {
    /// The service did not accept it.
    Refused(Refusal),
    /// The route wants a token.
    NoToken {
        /// Whether one came that is none of ours.
        wrong: bool,
    },
    /// It is for this host, which the service is not.
    UnknownHost(String),
    /// `id` is missing or empty.
    NoId,
    /// No submission has this id.
    UnknownId,
    /// `Idempotency-Key` cannot be one.
    BadKey,
    /// A part of the request is not written as it must be.
    Invalid {
        /// Which.
        field: String,
        /// What is wrong with it.
        detail: String,
        /// What to do.
        remedy: String,
    },
    /// A parameter is a number that it may not be.
    Beyond {
        /// Which.
        parameter: String,
        /// What it is.
        value: String,
        /// What it may be at least.
        least: Number,
        /// And at most.
        most: Number,
    },
    /// The store does not answer.
    Unreadable,
    /// There is no such path.
    NotFound,
    /// The path does not know this method.
    Method(&'static str),
    /// The body is larger than this.
    TooLarge(u64),
    /// The body is encoded in this way, which is not understood.
    Encoded(String),
    /// The body did not arrive in time.
    TooSlow,
    /// What all of these together may hold is held.
    TooMany(&'static str),
    /// Submissions are taken, but none can be carried out.
    NotReady(Broken),
    /// The body broke off or its encoding is wrong.
    BrokenBody,
    /// The service failed.
    Internal,
}

const NO_TOKEN: &str = "Bearer realm=\"casemate\"";
const WRONG_TOKEN: &str = "Bearer realm=\"casemate\", error=\"invalid_token\"";

/// Characters of a client's own word that an error repeats at most.
pub const LONGEST_ECHO: usize = 100;

impl Problem {
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Refused(Refusal::UnsupportedLanguage(_) | Refusal::CodeRequired | Refusal::InvalidBody(_))
            | Self::NoId
            | Self::BadKey
            | Self::Invalid { .. }
            | Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::NoToken { .. } => StatusCode::UNAUTHORIZED,
            // All that RFC 6585 asks of 429 is that the client itself sent too much; 503 is for what all of them did.
            Self::Refused(Refusal::RateExceeded { .. } | Refusal::TooManyWaiting { .. }) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Refused(Refusal::BadValue { .. } | Refusal::OutOfRange { .. }) | Self::Beyond { .. } => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Self::Refused(Refusal::QueueFull { .. } | Refusal::StoreUnavailable | Refusal::ShuttingDown)
            | Self::TooMany(_)
            | Self::NotReady(_)
            | Self::Unreadable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused(Refusal::KeyReused) => StatusCode::CONFLICT,
            Self::UnknownId | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoded(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::UnknownHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What is wrong, on one line.
    pub fn text(&self) -> String {
        match self {
            Self::Refused(Refusal::UnsupportedLanguage(name)) => {
                let short = name.chars().take(LONGEST_ECHO).collect();
                escaped(&Refusal::UnsupportedLanguage(short).to_string())
            }
            Self::Refused(refusal) => refusal.to_string(),
            Self::NoToken { wrong: false } => "A token is required".to_owned(),
            Self::NoToken { wrong: true } => "The token is not known".to_owned(),
            Self::UnknownHost(host) => escaped(&format!("{host} is no name of this service")),
            Self::NoId => "ID is required".to_owned(),
            Self::BadKey => "Idempotency-Key must be one value of 1 to 255 printable ASCII characters".to_owned(),
            Self::Invalid { field, detail, .. } => format!("{field}: {detail}"),
            Self::Beyond { parameter, value, least, most } => {
                format!("{parameter} is {value}: it may be {least} to {most}")
            }
            Self::UnknownId => "Submission not found".to_owned(),
            Self::Unreadable => "Submissions cannot be read at the moment".to_owned(),
            Self::NotFound => "Not found".to_owned(),
            Self::Method(_) => "Method not allowed".to_owned(),
            Self::TooLarge(limit) => format!("Request body is larger than {limit} bytes"),
            Self::Encoded(coding) => format!("Content-Encoding: {coding} is not understood"),
            Self::TooSlow => "Request body did not arrive in time".to_owned(),
            Self::NotReady(broken) => format!("Not ready: {broken}"),
            Self::TooMany(what) => format!("Too many {what} at the moment"),
            Self::BrokenBody => Refusal::InvalidBody("it broke off".to_owned()).to_string(),
            Self::Internal => "Internal error".to_owned(),
        }
    }

    /// The reply.
    pub fn reply(&self) -> Reply {
        self.reply_with(self.text() + "\n", "text/plain; charset=utf-8")
    }

    /// The reply with this body.
    pub fn reply_with(&self, body: String, content_type: &'static str) -> Reply {
        let mut reply = Response::new(body.into());
        *reply.status_mut() = self.status();
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match self {
            Self::Method(allow) => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            // RFC 9110, 15.5.16: what would have been understood.
            Self::Encoded(_) => {
                headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            }
            // RFC 6750, 3: an error only where a token came.
            Self::NoToken { wrong } => {
                let challenge = if *wrong { WRONG_TOKEN } else { NO_TOKEN };
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            Self::Refused(
                Refusal::QueueFull { retry_after }
                | Refusal::RateExceeded { retry_after }
                | Refusal::TooManyWaiting { retry_after },
            ) => {
                // Rounded up: too early is in vain.
                headers.insert(
                    RETRY_AFTER,
                    HeaderValue::from(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0)),
                );
            }
            Self::TooMany(_) | Self::Refused(Refusal::ShuttingDown | Refusal::StoreUnavailable) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        reply
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}
