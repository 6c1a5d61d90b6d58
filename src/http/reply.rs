//! What a reply sends: something whole, or parts of which those that a job printed are made into JSON piece by piece as
//! the client takes them. A slow reader of eight megabytes costs one piece beside the report itself.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::Response;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::sync::mpsc;

use super::encode;
use super::places::Waits;
use super::printed::Printed;
use super::room::Guest;
use crate::model::Submission;

/// Bytes of an output that become one piece; of JSON that is up to six times as much. Whole groups of base64.
const PIECE: usize = 3 * 2730;

/// A reply.
pub type Reply = Response<Content>;

/// Its body; see the module's documentation.
pub struct Content {
    parts: Parts,
    /// Dropped when hyper has all of the body, or has given it up.
    sent: Option<Box<dyn Send + Sync>>,
}

/// A part of a body.
#[derive(Debug)]
pub enum Part {
    /// As it is.
    Json(Vec<u8>),
    /// Inside a JSON string whose quotes stand around it, each byte that is not UTF-8 as one U+FFFD.
    Text(Printed),
    /// The same in base64 (RFC 4648, 4).
    Base64(Printed),
}

enum Parts {
    Whole(Bytes),
    Result(Box<Pieces>),
    /// As it comes, until nobody sends any more.
    Events(mpsc::Receiver<Bytes>),
}

/// The parts of a submission's reply that are not sent yet.
struct Pieces {
    submission: Arc<Submission>,
    guest: Option<Guest>,
    parts: VecDeque<Part>,
    /// How much of the first of them is sent.
    at: usize,
    left: u64,
}

impl Part {
    /// Bytes of memory that it needs until it is sent.
    pub fn held(&self, submission: &Submission) -> u64 {
        match self {
            Self::Json(bytes) => bytes.len() as u64,
            Self::Text(printed) | Self::Base64(printed) => printed.of(submission).len() as u64,
        }
    }

    /// Bytes of it on the wire.
    fn length(&self, submission: &Submission) -> u64 {
        match self {
            Self::Json(bytes) => bytes.len() as u64,
            Self::Text(printed) => encode::length(printed.of(submission)),
            Self::Base64(printed) => (printed.of(submission).len() as u64).div_ceil(3) * 4,
        }
    }
}

impl Content {
    /// These parts, one after the other. `guest` holds the room for them.
    pub fn result(submission: Arc<Submission>, parts: Vec<Part>, guest: Option<Guest>) -> Self {
        let left = parts.iter().map(|part| part.length(&submission)).sum();
        let pieces = Pieces { submission, guest, parts: parts.into(), at: 0, left };
        Self { parts: Parts::Result(Box::new(pieces)), sent: None }
    }

    /// What is sent from the other end, piece by piece.
    pub const fn events(from: mpsc::Receiver<Bytes>) -> Self {
        Self { parts: Parts::Events(from), sent: None }
    }

    /// What is waited for while it is sent.
    pub const fn waits(&self) -> Waits {
        match self.parts {
            Parts::Events(_) => Waits::Events,
            _ => Waits::Reply,
        }
    }

    /// Keeps `what` until the whole body is handed over.
    pub fn keep(&mut self, what: impl Send + Sync + 'static) {
        self.sent = Some(Box::new(what));
    }
}

impl<T: Into<Bytes>> From<T> for Content {
    fn from(whole: T) -> Self {
        Self { parts: Parts::Whole(whole.into()), sent: None }
    }
}

/// The whole of these parts at once.
pub fn whole(submission: Arc<Submission>, parts: Vec<Part>) -> Vec<u8> {
    let mut content = Content::result(submission, parts, None);
    let mut bytes = Vec::new();
    if let Parts::Result(pieces) = &mut content.parts {
        while pieces.left > 0 {
            bytes.extend_from_slice(&pieces.next());
        }
    }
    bytes
}

impl Pieces {
    fn next(&mut self) -> Bytes {
        let mut ready = Vec::new();
        while ready.len() < PIECE
            && let Some(part) = self.parts.front_mut()
        {
            let end = match part {
                Part::Json(bytes) => {
                    if ready.is_empty() {
                        ready = std::mem::take(bytes);
                    } else {
                        ready.append(bytes);
                    }
                    true
                }
                Part::Text(printed) => {
                    let bytes = printed.of(&self.submission);
                    let range = encode::piece(bytes, self.at, PIECE);
                    encode::append(&mut ready, &bytes[range.clone()]);
                    self.at = range.end;
                    range.end == bytes.len()
                }
                Part::Base64(printed) => {
                    let bytes = printed.of(&self.submission);
                    let end = bytes.len().min(self.at + PIECE);
                    ready.extend_from_slice(BASE64.encode(&bytes[self.at..end]).as_bytes());
                    self.at = end;
                    end == bytes.len()
                }
            };
            if end {
                self.parts.pop_front();
                self.at = 0;
            }
        }
        let piece = Bytes::from(ready);
        self.left -= piece.len() as u64;
        if let Some(guest) = &self.guest {
            guest.moved(piece.len() as u64);
        }
        piece
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.parts {
            Parts::Whole(bytes) => std::mem::take(bytes),
            Parts::Result(pieces) if pieces.left == 0 => Bytes::new(),
            Parts::Result(pieces) => pieces.next(),
            Parts::Events(from) => ready!(from.poll_recv(cx)).unwrap_or_default(),
        };
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.parts {
            Parts::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Parts::Result(pieces) => SizeHint::with_exact(pieces.left),
            Parts::Events(_) => SizeHint::default(),
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Bytes::new().into()
    }
}
