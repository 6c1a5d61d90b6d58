//! The socket as hyper sees it. A client who takes too little of a reply for too long ends its connection, and it is
//! noted whether everything was sent and nothing more has come, so that the connection can be put aside.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What a client must take of a reply within the limit, in bytes.
pub const STEP: usize = 64 << 10;

/// What is known of the requests of one connection. Only hyper's own task and its handlers touch it, in turns.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Requests whose reply was not yet handed over whole.
    pub open: AtomicUsize,
    /// There was a request.
    pub used: AtomicBool,
    /// A request had a body that nobody read to its end.
    pub unread: AtomicBool,
    flushed: AtomicBool,
    starved: AtomicBool,
}

impl Pulse {
    /// Whether there was a request, every reply is sent, and nothing has come since.
    pub fn idle(&self) -> bool {
        let [used, unread, flushed, starved] =
            [&self.used, &self.unread, &self.flushed, &self.starved].map(|flag| flag.load(Ordering::Acquire));
        self.open.load(Ordering::Acquire) == 0 && used && !unread && flushed && starved
    }
}

/// A stream with a time-out on writes that do not proceed.
#[derive(Debug)]
pub struct Stall<S> {
    stream: S,
    /// What was read from it before.
    before: Bytes,
    pulse: Arc<Pulse>,
    limit: Duration,
    /// Runs from the first write that had to wait until enough was taken.
    waiting: Option<Pin<Box<Sleep>>>,
    taken: usize,
}

impl<S> Stall<S> {
    /// Over `stream`, of which `before` was read already.
    pub const fn new(stream: S, before: Bytes, pulse: Arc<Pulse>, limit: Duration) -> Self {
        Self { stream, before, pulse, limit, waiting: None, taken: 0 }
    }

    /// The stream.
    pub fn into_inner(self) -> S {
        self.stream
    }

    fn rest(&mut self) {
        (self.waiting, self.taken) = (None, 0);
    }

    fn judge(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.pulse.flushed.store(false, Ordering::Release);
        if let Poll::Ready(Ok(bytes)) = poll {
            self.taken += bytes;
            if self.taken >= STEP {
                self.rest();
            }
        }
        if poll.is_ready() {
            return poll;
        }
        let limit = self.limit;
        let timer = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.before.is_empty() {
            let length = self.before.len().min(buffer.remaining());
            buffer.put_slice(&self.before.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let poll = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.pulse.starved.store(poll.is_pending(), Ordering::Release);
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judge(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judge(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // hyper flushes once everything that it holds was written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        if poll.is_ready() {
            self.rest();
            self.pulse.flushed.store(true, Ordering::Release);
        }
        poll
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn stall<S>(stream: S, limit: Duration) -> Stall<S> {
        Stall::new(stream, Bytes::new(), Arc::default(), limit)
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_ends_it_and_a_slow_one_does_not() {
        let (near, far) = tokio::io::duplex(4);
        let mut stalled = stall(near, Duration::from_millis(20));
        assert_eq!(stalled.write_all(b"123456").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(far);

        let (near, mut far) = tokio::io::duplex(4);
        let mut slow = stall(near, Duration::from_secs(3600));
        let (written, read) = tokio::join!(slow.write_all(b"123456"), async {
            let mut buffer = [0; 6];
            far.read_exact(&mut buffer).await
        });
        written.unwrap();
        assert_eq!(read.unwrap(), 6);
    }

    #[tokio::test]
    async fn a_trickle_ends_it_too() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut stalled = stall(near, Duration::from_millis(100));
        let reader = tokio::spawn(async move {
            while far.read_u8().await.is_ok() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert_eq!(stalled.write_all(&[0; STEP]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(stalled);
        reader.await.unwrap();
    }

    #[tokio::test]
    async fn what_was_read_before_comes_first() {
        let (near, mut far) = tokio::io::duplex(16);
        far.write_all(b"second").await.unwrap();
        drop(far);
        let mut all = Vec::new();
        let mut stream = Stall::new(near, Bytes::from_static(b"first "), Arc::default(), Duration::from_secs(1));
        stream.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"first second");
    }
}
