//! Drains what a job prints while it runs. Past the limit bytes are counted and dropped, so that neither the job nor
//! our memory waits for anybody.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fmt, io};

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::model::{Bytes, Captured, Streams};
use crate::service::Feed;
pub use crate::service::Stream;

/// As much as a pipe holds by default (pipe(7)).
const CHUNK: usize = 65_536;

/// Somebody who is told of output as it is printed.
type Tell<'a> = &'a (dyn Fn(Stream, &[u8]) + Send + Sync);

/// Who gets to see output as it is printed.
#[derive(Clone, Copy, Default)]
pub struct Live<'a> {
    /// Is told of what is within the limit; the job waits until it was.
    pub told: Option<Tell<'a>>,
    /// Has what is kept, until it is all there.
    pub kept: Option<&'a Feed>,
}

impl fmt::Debug for Live<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("told", &self.told.is_some()).field("kept", &self.kept).finish()
    }
}

/// Our ends of a job's output.
#[derive(Debug)]
pub(super) struct Capture {
    out: Receiver,
    err: Option<Receiver>,
    limit: u64,
    seen: AtomicU64,
    over: Notify,
    /// Nobody is left who could write.
    ended: CancellationToken,
}

/// The job's ends.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) out: OwnedFd,
    pub(super) err: OwnedFd,
}

impl Capture {
    /// One pipe for both streams, or one each. The job's ends belong to user `owner`, so that a program may open
    /// `/dev/stdout` anew, as it may anywhere else.
    pub(super) fn open(streams: Streams, limit: Bytes, owner: u32) -> io::Result<(Self, Ends)> {
        let (out_read, out) = pipe(owner)?;
        let (err, err_end) = match streams {
            Streams::Merged => (None, out.try_clone()?),
            Streams::Separate => {
                let (read, write) = pipe(owner)?;
                (Some(Receiver::from_owned_fd(read)?), write)
            }
        };
        let capture = Self {
            out: Receiver::from_owned_fd(out_read)?,
            err,
            limit: limit.0,
            seen: AtomicU64::new(0),
            over: Notify::new(),
            ended: CancellationToken::new(),
        };
        Ok((capture, Ends { out, err: err_end }))
    }

    /// Reads until every writer is gone, and keeps the first `keep` bytes of both streams together, within the limit.
    pub(super) async fn drain(&self, live: Live<'_>, keep: u64) -> io::Result<Captured> {
        let (out, err) = tokio::join!(self.read(&self.out, Stream::Out, live, keep), async {
            match &self.err {
                Some(pipe) => self.read(pipe, Stream::Err, live, keep).await,
                None => Ok((Vec::new(), 0)),
            }
        });
        let ((mut stdout, lost_out), (mut stderr, lost_err)) = (out?, err?);
        if let Some(feed) = live.kept {
            [stdout, stderr] = feed.end();
        }
        let seen = self.seen.load(Ordering::Relaxed);
        Ok(Captured { stdout, stderr, seen, cut: seen > self.limit, lost: [lost_out, lost_err] })
    }

    /// Every process of the job is gone: what is in the pipes now is all there will be. Their ends need not be closed for
    /// that: a descriptor that was sent over a local socket lives on in the socket's queue until the kernel collects it.
    pub(super) fn ended(&self) {
        self.ended.cancel();
    }

    /// What lies in the pipe of standard output now, at most so much; for a log line.
    pub(super) fn waiting_bytes(&self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        // Nothing there, or a pipe that cannot be read: then there is nothing to tell.
        let n = rustix::io::read(self.out.as_fd(), &mut bytes).unwrap_or(0);
        bytes.truncate(n);
        bytes
    }

    /// Resolves when more was printed than is kept.
    pub(super) async fn over(&self) {
        self.over.notified().await;
    }

    /// What was kept of one stream, unless a feed has it, and how much was not.
    async fn read(&self, pipe: &Receiver, stream: Stream, live: Live<'_>, keep: u64) -> io::Result<(Vec<u8>, u64)> {
        let (mut kept, mut lost) = (Vec::new(), 0);
        let mut chunk = vec![0; CHUNK];
        loop {
            let n = tokio::select! {
                biased;
                ready = pipe.readable() => match ready.and_then(|()| pipe.try_read(&mut chunk)) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    read => read?,
                },
                // What tokio remembers of the pipe may be old; the kernel knows.
                () = self.ended.cancelled() => match rustix::io::read(pipe.as_fd(), &mut chunk) {
                    Err(rustix::io::Errno::AGAIN) => 0,
                    read => read?,
                },
            };
            if n == 0 {
                return Ok((kept, lost));
            }
            let before = self.seen.fetch_add(n as u64, Ordering::Relaxed);
            let room = usize::try_from(self.limit.saturating_sub(before)).unwrap_or(usize::MAX);
            let fresh = &chunk[..n.min(room)];
            let left = usize::try_from(keep.saturating_sub(before)).unwrap_or(usize::MAX);
            let stays = &fresh[..fresh.len().min(left)];
            lost += (n - stays.len()) as u64;
            match live.kept {
                Some(feed) if !stays.is_empty() => feed.print(stream, stays),
                _ => kept.extend_from_slice(stays),
            }
            if let Some(tell) = live.told.filter(|_| !fresh.is_empty()) {
                tell(stream, fresh);
            }
            if n > room {
                self.over.notify_one();
            }
        }
    }
}

/// A pipe whose inode belongs to `owner`; its reading end is ours.
pub(super) fn pipe(owner: u32) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = io::pipe()?;
    let (uid, gid) = (rustix::fs::Uid::from_raw(owner), rustix::fs::Gid::from_raw(owner));
    rustix::fs::fchown(&write, Some(uid), Some(gid))?;
    Ok((read.into(), write.into()))
}

/// The whole of a small report, once every writer is gone.
pub(super) async fn read_report(pipe: Receiver, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pipe.take(limit).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::StepKind;
    use std::io::Write;

    fn me() -> u32 {
        nix::unistd::getuid().as_raw()
    }

    #[tokio::test]
    async fn what_is_over_the_limit_is_counted_and_dropped() {
        let (capture, ends) = Capture::open(Streams::Merged, Bytes(5), me()).unwrap();
        let Ends { out, err } = ends;
        drop(err);
        let mut out = std::fs::File::from(out);
        out.write_all(b"12345678").unwrap();
        drop(out);
        let captured = capture.drain(Live::default(), u64::MAX).await.unwrap();
        assert_eq!(captured, Captured { stdout: b"12345".to_vec(), stderr: vec![], seen: 8, cut: true, lost: [3, 0] });
        capture.over().await;
    }

    #[tokio::test]
    async fn a_writer_that_is_never_closed_holds_nobody_up() {
        let (capture, ends) = Capture::open(Streams::Merged, Bytes(64), me()).unwrap();
        let mut out = std::fs::File::from(ends.out);
        out.write_all(b"all of it").unwrap();
        capture.ended();
        let captured = capture.drain(Live::default(), u64::MAX).await.unwrap();
        assert_eq!(captured.stdout, b"all of it");
        drop((out, ends.err));
    }

    /// It is passed on all the same, and is no passing of the limit.
    #[tokio::test]
    async fn what_is_not_to_be_kept_is_counted() {
        let (capture, ends) = Capture::open(Streams::Separate, Bytes(6), me()).unwrap();
        std::fs::File::from(ends.out).write_all(b"12345").unwrap();
        drop(ends.err);
        let seen = std::sync::Mutex::new(Vec::new());
        let live = |_: Stream, bytes: &[u8]| seen.lock().unwrap().extend_from_slice(bytes);
        let captured = capture.drain(Live { told: Some(&live), kept: None }, 2).await.unwrap();
        let wanted = Captured { stdout: b"12".to_vec(), stderr: vec![], seen: 5, cut: false, lost: [3, 0] };
        assert_eq!((captured, seen.into_inner().unwrap()), (wanted, b"12345".to_vec()));
    }

    #[tokio::test]
    async fn a_feed_has_what_is_kept_and_gives_it_back_at_the_end() {
        let (capture, ends) = Capture::open(Streams::Separate, Bytes(5), me()).unwrap();
        let feed = Feed::new();
        feed.begin(StepKind::Run);
        let mut changed = feed.subscribe();
        let (mut out, err) = (std::fs::File::from(ends.out), std::fs::File::from(ends.err));
        let here = || feed.look(|steps| steps[0].streams.each_ref().map(|stream| stream.bytes.clone()));
        let (captured, ()) = tokio::join!(capture.drain(Live { told: None, kept: Some(&feed) }, 4), async {
            out.write_all(b"123").unwrap();
            changed.changed().await.unwrap();
            assert_eq!(here(), [Some(b"123".to_vec()), Some(Vec::new())]);
            (&err).write_all(b"4567").unwrap();
            changed.changed().await.unwrap();
            assert_eq!(here(), [Some(b"123".to_vec()), Some(b"4".to_vec())]);
            drop((out, err));
        });
        let (stdout, stderr) = (b"123".to_vec(), b"4".to_vec());
        assert_eq!(captured.unwrap(), Captured { stdout, stderr, seen: 7, cut: true, lost: [0, 3] });
        assert!(feed.look(|steps| steps[0].over));
    }

    #[tokio::test]
    async fn exactly_the_limit_is_not_cut() {
        let (capture, ends) = Capture::open(Streams::Separate, Bytes(4), me()).unwrap();
        std::fs::File::from(ends.out).write_all(b"12").unwrap();
        std::fs::File::from(ends.err).write_all(b"34").unwrap();
        let captured = capture.drain(Live::default(), u64::MAX).await.unwrap();
        assert_eq!(
            captured,
            Captured { stdout: b"12".to_vec(), stderr: b"34".to_vec(), seen: 4, cut: false, lost: [0, 0] }
        );
    }
}
