//! What a reply sends: something whole, or a result whose output is made into JSON piece by piece as the client takes
//! it. A slow reader of eight megabytes costs one piece beside the report itself.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::Response;
use hyper::body::{Body, Bytes, Frame, SizeHint};

use super::encode;
use super::output::Output;
use super::room::Guest;
use crate::model::Submission;

/// Bytes of an output that become one piece; of JSON that is up to six times as much.
const PIECE: usize = 8 << 10;

/// A reply.
pub type Reply = Response<Content>;

/// Its body; see the module's documentation.
pub struct Content {
    parts: Parts,
    /// Dropped when hyper has all of the body, or has given it up.
    sent: Option<Box<dyn Send + Sync>>,
}

enum Parts {
    Whole(Bytes),
    Result(Box<Pieces>),
}

/// The output of a submission inside its JSON.
struct Pieces {
    submission: Arc<Submission>,
    guest: Option<Guest>,
    output: Output,
    /// What stands behind the output; taken once all before it is.
    tail: Vec<u8>,
    /// The next piece as far as it is made: at first what stands before the output.
    ready: Vec<u8>,
    /// Which of the captured streams comes next, and from where on.
    next: (usize, usize),
    left: u64,
}

impl Content {
    /// The JSON `[head]"output"[tail]`, with the string's quotes already in both. `guest` holds the room for it.
    pub fn result(submission: Arc<Submission>, output: Output, head: &[u8], tail: &[u8], guest: Option<Guest>) -> Self {
        let mut ready = head.to_vec();
        encode::append(&mut ready, output.before.as_bytes());
        let mut end = Vec::new();
        encode::append(&mut end, output.after.as_bytes());
        end.extend_from_slice(tail);
        let printed: u64 = output.printed(&submission).into_iter().map(encode::length).sum();
        let left = ready.len() as u64 + printed + end.len() as u64;
        let pieces = Pieces { submission, guest, output, tail: end, ready, next: (0, 0), left };
        Self { parts: Parts::Result(Box::new(pieces)), sent: None }
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

impl Pieces {
    fn next(&mut self) -> Bytes {
        let streams = self.output.printed(&self.submission);
        while self.ready.len() < PIECE
            && let Some(bytes) = streams.get(self.next.0)
        {
            let range = encode::piece(bytes, self.next.1, PIECE);
            encode::append(&mut self.ready, &bytes[range.clone()]);
            self.next = if range.end == bytes.len() { (self.next.0 + 1, 0) } else { (self.next.0, range.end) };
        }
        if self.next.0 >= streams.len() {
            self.ready.append(&mut self.tail);
        }
        let piece = Bytes::from(std::mem::take(&mut self.ready));
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

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = match &mut self.parts {
            Parts::Whole(bytes) => std::mem::take(bytes),
            Parts::Result(pieces) if pieces.left == 0 => Bytes::new(),
            Parts::Result(pieces) => pieces.next(),
        };
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.parts {
            Parts::Whole(bytes) => bytes.len() as u64,
            Parts::Result(pieces) => pieces.left,
        })
    }
}

impl Default for Content {
    fn default() -> Self {
        Bytes::new().into()
    }
}
