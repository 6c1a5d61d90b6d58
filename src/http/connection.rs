//! Accepts connections, serves each in a task of its own, and lets them end well.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::listen::Listeners;
use super::routes::{Edge, answer};
use super::stall::Stall;
use crate::shutdown::Shutdown;
use crate::telemetry::Tag;

/// Pause after an accept that failed for want of something that others must give back first, such as descriptors.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What a client that is still sending gets to read its reply in before the connection is cut.
const LINGER: Duration = Duration::from_secs(2);

/// What is still read from such a client.
const LINGER_BYTES: u64 = 16 << 20;

/// Serves until [`Shutdown::stop_accepting`]; then lets open requests end and closes idle connections. Ends when the
/// last connection has, at [`Shutdown::stop_now`] at the latest.
pub async fn serve(listeners: Listeners, edge: Edge, shutdown: Shutdown) {
    let free = Arc::new(Semaphore::new(edge.http.connections));
    let edge = Arc::new(edge);
    let tasks = TaskTracker::new();
    for listener in listeners.0 {
        tasks.spawn(accept(listener, Arc::clone(&edge), Arc::clone(&free), tasks.clone(), shutdown.clone()));
    }
    shutdown.stop_accepting().cancelled().await;
    tasks.close();
    tasks.wait().await;
}

async fn accept(listener: TcpListener, edge: Arc<Edge>, free: Arc<Semaphore>, tasks: TaskTracker, shutdown: Shutdown) {
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
            let Ok(place) = Arc::clone(&free).acquire_owned().await else { return };
            let (edge, shutdown) = (Arc::clone(&edge), shutdown.clone());
            tasks.spawn(async move {
                let now = shutdown.stop_now().clone();
                now.run_until_cancelled(connection(stream, edge, shutdown.stop_accepting())).await;
                drop(place);
            });
        }
    };
    shutdown.stop_accepting().run_until_cancelled(connections).await;
}

async fn connection(stream: TcpStream, edge: Arc<Edge>, stop: &CancellationToken) {
    // Replies are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let bounds = edge.http;
    let handler = service_fn(|request| Box::pin(answer(Arc::clone(&edge), stop.is_cancelled(), request)));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.header_time)
        .max_headers(bounds.headers)
        .max_buf_size(usize::try_from(bounds.header_bytes.0).unwrap_or(usize::MAX))
        // A client may close its sending side after the request and still wants the reply.
        .half_close(true);
    let io = TokioIo::new(Stall::new(stream, bounds.write_time));
    let mut served = builder.serve_connection(io, handler);
    let mut stopped = pin!(stop.cancelled());
    let mut stopping = false;
    let ended = poll_fn(|cx| {
        if !stopping && stopped.as_mut().poll(cx).is_ready() {
            stopping = true;
            Pin::new(&mut served).graceful_shutdown();
        }
        served.poll_without_shutdown(cx)
    })
    .await;
    if let Err(failure) = ended {
        debug!(tag = %Tag::Http, "a connection broke off: {failure}");
    }
    linger(served.into_parts().io.into_inner().into_inner()).await;
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
