//! Accepts connections, serves each in a task of its own, and lets them end well. Between its requests a connection is
//! no more than a socket and a timer: hyper's buffers, 16 KiB and more, are there only while they are used.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::listen::Listeners;
use super::places::{Places, Seat, Waits};
use super::routes::{Client, Edge, answer};
use super::stall::{Pulse, Stall};
use crate::shutdown::Shutdown;
use crate::telemetry::Tag;

/// Pause after an accept that failed for want of something that others must give back first, such as descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What a client that is still sending gets to read its reply in before the connection is cut.
const LINGER: Duration = Duration::from_secs(2);

/// What is still read from such a client.
const LINGER_BYTES: u64 = 16 << 20;

/// What a client that is sent away for the sake of others gets to be told so.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What requests that are being answered get to end in, once what runs was interrupted.
const LEAVE: Duration = Duration::from_secs(1);

/// Serves until [`Shutdown::stop_serving`]; then lets open requests end and closes idle connections. Ends when the
/// last connection has, a moment after [`Shutdown::stop_now`] at the latest.
pub async fn serve(listeners: Listeners, edge: Edge, shutdown: Shutdown) {
    let places = Places::new(edge.http.connections);
    let edge = Arc::new(edge);
    let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
    let phases = Phases { leave: shutdown.stop_serving().clone(), cut: cut.clone() };
    for listener in listeners.0 {
        tasks.spawn(accept(listener, Arc::clone(&edge), Arc::clone(&places), tasks.clone(), phases.clone()));
    }
    shutdown.stop_serving().cancelled().await;
    tasks.close();
    let late = async {
        shutdown.stop_now().cancelled().await;
        tokio::time::sleep(LEAVE).await;
    };
    tokio::select! { () = tasks.wait() => return, () = late => cut.cancel() }
    tasks.wait().await;
}

/// When connections end: after the request that is being answered, and at once.
#[derive(Clone, Debug)]
struct Phases {
    leave: CancellationToken,
    cut: CancellationToken,
}

async fn accept(listener: TcpListener, edge: Arc<Edge>, places: Arc<Places>, tasks: TaskTracker, phases: Phases) {
    let connections = async {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(failure) => {
                    warn!(tag = %Tag::Http, "a connection was not accepted: {failure}");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            // The place is taken after the connection, so that a listener that nobody calls holds none.
            let seat = Arc::new(places.take().await);
            let (edge, phases, open) = (Arc::clone(&edge), phases.clone(), edge.counts.open());
            tasks.spawn(async move {
                let _open = open;
                phases.cut.run_until_cancelled(connection(stream, edge, seat, &phases.leave)).await;
            });
        }
    };
    phases.leave.run_until_cancelled(connections).await;
}

async fn connection(mut stream: TcpStream, edge: Arc<Edge>, seat: Arc<Seat>, stop: &CancellationToken) {
    // Replies are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let mut before = Bytes::new();
    loop {
        if before.is_empty() && !begins(&stream, &edge, &seat, stop).await {
            break;
        }
        // Boxed, so that a connection that waits does not hold the place for it.
        match Box::pin(requests(stream, before, &edge, &seat, stop)).await {
            Some(idle) => (stream, before) = idle,
            None => return,
        }
    }
}

/// Waits for the first byte of a request; whether it came.
async fn begins(stream: &TcpStream, edge: &Edge, seat: &Seat, stop: &CancellationToken) -> bool {
    seat.waits(Waits::Idle);
    let first = tokio::time::timeout(edge.http.idle_time, async {
        let mut byte = [0];
        matches!(stream.peek(&mut byte).await, Ok(1..))
    });
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = seat.gone().cancelled() => false,
        began = first => began.unwrap_or(false),
    }
}

/// Answers requests until none is under way; then the stream and what was already read of the next request, or nothing
/// when the connection has ended.
async fn requests(
    stream: TcpStream,
    before: Bytes,
    edge: &Arc<Edge>,
    seat: &Arc<Seat>,
    stop: &CancellationToken,
) -> Option<(TcpStream, Bytes)> {
    seat.waits(Waits::Head);
    let bounds = &edge.http;
    let pulse = Arc::new(Pulse::default());
    let (edge, seat, leave) = (Arc::clone(edge), Arc::clone(seat), stop.clone());
    let client = Client { edge, seat, pulse: Arc::clone(&pulse), leave, owner: None };
    let seat = &client.seat;
    let handler = service_fn(|request| Box::pin(answer(client.clone(), stop.is_cancelled(), request)));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_time)
        .max_headers(bounds.headers)
        .max_buf_size(usize::try_from(bounds.header_bytes.0).unwrap_or(usize::MAX))
        // A client may close its sending side after the request and still wants the reply.
        .half_close(true);
    let io = TokioIo::new(Stall::new(stream, before, Arc::clone(&pulse), bounds.write_time));
    let mut served = builder.serve_connection(io, handler);
    let mut stopped = pin!(stop.cancelled());
    let mut stopping = false;
    let work = poll_fn(|cx| {
        if !stopping && stopped.as_mut().poll(cx).is_ready() {
            stopping = true;
            Pin::new(&mut served).graceful_shutdown();
        }
        match served.poll_without_shutdown(cx) {
            Poll::Pending if pulse.idle() => Poll::Ready(Ok(true)),
            other => other.map_ok(|()| false),
        }
    });
    let sent_away = async {
        seat.gone().cancelled().await;
        // Only a request that was not read to its end, or waits for something, is still to be answered.
        if matches!(seat.waiting(), None | Some(Waits::Body | Waits::Events | Waits::End)) {
            tokio::time::sleep(LAST_WORDS).await;
        }
    };
    let ended = tokio::select! {
        biased;
        ended = work => ended,
        () = sent_away => return None,
    };
    let idle = ended.unwrap_or_else(|failure| {
        debug!(tag = %Tag::Http, "a connection broke off: {failure}");
        false
    });
    let parts = served.into_parts();
    let stream = parts.io.into_inner().into_inner();
    if idle {
        return Some((stream, parts.read_buf));
    }
    seat.waits(Waits::Idle);
    seat.gone().run_until_cancelled(linger(stream)).await;
    None
}

/// Closes our side and reads what the client still sends. Closing with unread data would make the kernel send a reset,
/// which can overtake the reply.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut rest = stream.take(LINGER_BYTES);
    let mut sink = tokio::io::sink();
    let _ = tokio::time::timeout(LINGER, tokio::io::copy(&mut rest, &mut sink)).await;
}
