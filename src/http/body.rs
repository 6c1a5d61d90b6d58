//! Reads a request's body: bounded in size, also when no length was announced, in time, and in what all bodies together
//! hold.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use hyper::body::{Body as _, Incoming};
use hyper::header::CONTENT_ENCODING;
use tokio::time::{Instant, timeout_at};

use super::places::{Seat, Waits};
use super::problem::{LONGEST_ECHO, Problem};
use super::room::Guest;
use crate::model::Bytes;

/// What a body's buffer holds at first, in bytes; it doubles from there.
const FIRST: usize = 8 << 10;

/// Whether the body is as it was sent, and not compressed (RFC 9110, 8.4).
///
/// # Errors
/// [`Problem::Encoded`].
pub fn uncoded(headers: &HeaderMap) -> Result<(), Problem> {
    let all = headers.get_all(CONTENT_ENCODING).iter();
    let mut codings = all.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let other = codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"));
    other.map_or(Ok(()), |coding| {
        Err(Problem::Encoded(String::from_utf8_lossy(coding).chars().take(LONGEST_ECHO).collect()))
    })
}

/// The whole body; `guest` holds the room for it.
///
/// # Errors
/// [`Problem::TooLarge`], [`Problem::TooSlow`], [`Problem::TooMany`], [`Problem::BrokenBody`].
pub async fn read(
    mut body: Incoming,
    limit: Bytes,
    time: Duration,
    guest: &Guest,
    seat: &Seat,
) -> Result<Vec<u8>, Problem> {
    // An announced length is refused before a byte is read: a client that asked for `100 Continue` then sends none.
    if body.size_hint().lower() > limit.0 {
        return Err(Problem::TooLarge(limit.0));
    }
    // Clients cannot be late with what we do not take: the time that we wait for room is not theirs.
    let mut deadline = Instant::now() + time;
    let most = usize::try_from(body.size_hint().upper().unwrap_or(limit.0).min(limit.0)).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    loop {
        seat.waits(Waits::Body);
        let frame = tokio::select! {
            biased;
            () = seat.gone().cancelled() => return Err(Problem::TooSlow),
            frame = timeout_at(deadline, body.frame()) => frame.map_err(|_| Problem::TooSlow)?,
        };
        seat.works();
        let Some(frame) = frame else { return Ok(bytes) };
        let Ok(data) = frame.map_err(|_| Problem::BrokenBody)?.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length as u64 > limit.0 {
            return Err(Problem::TooLarge(limit.0));
        }
        if length > bytes.capacity() {
            let more = (bytes.capacity() * 2).max(FIRST).min(most).max(length) - bytes.capacity();
            let began = Instant::now();
            guest.grow(more as u64, time).await.map_err(|_| Problem::TooMany("request bodies"))?;
            deadline += began.elapsed();
            bytes.reserve_exact(bytes.capacity() + more - bytes.len());
        }
        bytes.extend_from_slice(&data);
        guest.moved(data.len() as u64);
    }
}
