//! Has the system calls of one step watched, by a process of its own that this program becomes once more.
//!
//! The container is what it always is: the same configuration, the same filter. Who watches can read registers and is not
//! asked what becomes of a call; should it end, the kernel kills what it watches.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::error::{DYING, StepError};
use crate::model::Calls;
use crate::runtime::reaper::{Child, Reaper};
use crate::seccomp::Tally;
use crate::sys::spawn::{Program, spawn};
use crate::sys::trace::{BEGUN, Seen};

/// The words after which this program does nothing but watch, and write what it sees to standard output; the last one is
/// the number of the process whose children are watched.
pub const WATCH: [&str; 2] = ["seccomp", "watch-calls"];

/// What is read at once: some hundreds of calls.
const CHUNK: usize = 64 << 10;

/// A step that is being watched.
#[derive(Debug)]
pub(super) struct Tracer {
    watcher: Child,
    tally: Arc<Mutex<Option<Tally>>>,
    reading: JoinHandle<io::Result<()>>,
}

impl Tracer {
    /// Begins to watch what process 1 of a container, `init`, will start. Returns once nothing of it can be missed.
    pub(super) async fn attach(reaper: &Reaper, init: Pid, tally: Tally) -> Result<Self, StepError> {
        let (read, write) = io::pipe().map_err(StepError::Pipe)?;
        let own = reaper.clone();
        let started = tokio::task::spawn_blocking(move || start(&own, init, write.into())).await;
        let mut watcher = started.map_err(io::Error::other).and_then(|started| started).map_err(StepError::Trace)?;
        let mut read = Receiver::from_owned_fd(read.into()).map_err(StepError::Pipe)?;
        let mut first = [0];
        let begun = timeout(DYING, read.read_exact(&mut first)).await;
        if !matches!(begun, Ok(Ok(_)) if first == [BEGUN]) {
            watcher.kill();
            let ended = watcher.ended().await;
            return Err(StepError::Trace(io::Error::other(format!("the watcher ended with {ended}"))));
        }
        let tally = Arc::new(Mutex::new(Some(tally)));
        let reading = tokio::spawn(sum_up(read, Arc::clone(&tally)));
        Ok(Self { watcher, tally, reading })
    }

    /// What was seen. To be asked for once the container has been killed: the watcher ends with the last of what it watches.
    pub(super) async fn finish(mut self) -> Result<Calls, StepError> {
        let read = timeout(DYING, &mut self.reading).await;
        self.reading.abort();
        self.watcher.kill();
        self.watcher.ended().await;
        match read {
            Ok(Ok(read)) => read.map_err(StepError::Trace)?,
            Ok(Err(error)) => return Err(StepError::Trace(io::Error::other(error))),
            Err(_) => return Err(StepError::Undead),
        }
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner).take();
        tally.map(Tally::calls).ok_or(StepError::Without("tally"))
    }
}

fn start(reaper: &Reaper, init: Pid, out: OwnedFd) -> io::Result<Child> {
    let nothing = std::fs::File::open("/dev/null")?.into();
    let complaints = io::stderr().as_fd().try_clone_to_owned()?;
    let words: Vec<OsString> = WATCH.iter().map(OsString::from).chain([init.to_string().into()]).collect();
    // The very file that runs here, whatever lies at its path by now.
    let program = Program { path: Path::new("/proc/self/exe"), open: None };
    reaper.spawn(|| spawn(program, &words, &[nothing, out, complaints], &[]))
}

async fn sum_up(mut from: Receiver, tally: Arc<Mutex<Option<Tally>>>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut filled = 0;
    loop {
        let read = from.read(&mut chunk[filled..]).await?;
        if read == 0 {
            return if filled == 0 { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        filled += read;
        let (whole, rest) = chunk[..filled].as_chunks::<{ Seen::SIZE }>();
        if let Some(tally) = tally.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            for bytes in whole {
                tally.add(&Seen::of_bytes(bytes).ok_or(io::ErrorKind::InvalidData)?);
            }
        }
        let (start, left) = (filled - rest.len(), rest.len());
        chunk.copy_within(start..filled, 0);
        filled = left;
    }
}
