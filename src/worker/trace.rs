//! Has the system calls of one step watched, by a process of its own that this program becomes once more.
//!
//! The container is what it always is: the same configuration, the same filter. Who watches can read registers and is not
//! asked what becomes of a call; should it end, the kernel kills what it watches.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Sandbox;
use super::error::{DYING, StepError, WORDS};
use super::launch::Waiting;
use crate::model::{Calls, Watched};
use crate::runtime::Container;
use crate::runtime::reaper::{Child, Reaper};
use crate::seccomp::{Policy, Tally};
use crate::sys::spawn::{Program, spawn};
use crate::sys::trace::{BEGUN, Seen};
use crate::telemetry::{chain, escaped};

/// The words after which this program does nothing but watch, and write what it sees to standard output. The last one is
/// the number of the process whose children are watched; before it `--all` may stand.
pub const WATCH: [&str; 2] = ["seccomp", "watch-calls"];

/// All calls are written, not only those that a filter may have refused.
const ALL: &str = "--all";

/// What is read at once: some hundreds of calls.
const CHUNK: usize = 64 << 10;

/// Whether a step is being watched.
#[derive(Debug)]
pub(super) enum Watch {
    /// Nobody asked for it.
    Off,
    /// A client asked, and it cannot be done here; the log says why.
    Failed,
    /// It is. With `all`, nothing but the whole of what was seen is a result.
    On { tracer: Tracer, all: bool },
}

impl Watch {
    /// Begins it over what will run in this container. A client who wants to know what was refused gets his run in any case.
    pub(super) async fn begin(sandbox: &Sandbox, waiting: &mut Waiting, watched: Watched) -> Result<Self, StepError> {
        let all = match watched {
            Watched::Nothing => return Ok(Self::Off),
            Watched::Refused => false,
            Watched::All => true,
        };
        match Tracer::over(sandbox, waiting, all).await {
            Ok(tracer) => Ok(Self::On { tracer, all }),
            Err(error) if !all && waiting.is_well() => {
                tell(&error);
                Ok(Self::Failed)
            }
            Err(error) => Err(error),
        }
    }

    /// What was seen of a step that is over. Whatever of it still lives ends.
    pub(super) async fn end(self, container: Option<&Container>) -> Result<Option<Calls>, StepError> {
        let (tracer, all) = match self {
            Self::Off => return Ok(None),
            Self::Failed => return Ok(Some(Calls::unseen())),
            Self::On { tracer, all } => (tracer, all),
        };
        if let Some(container) = container {
            container.kill();
        }
        match tracer.finish().await {
            Err(error) if !all => {
                tell(&error);
                Ok(Some(Calls::unseen()))
            }
            seen => seen.map(Some),
        }
    }
}

fn tell(error: &StepError) {
    tracing::error!("what a run was refused is not told: {}", chain(error));
}

/// A step that is being watched.
#[derive(Debug)]
pub(super) struct Tracer {
    watcher: Child,
    tally: Arc<Mutex<Option<Tally>>>,
    reading: JoinHandle<io::Result<()>>,
    complaints: Receiver,
}

impl Tracer {
    /// Watches what will run in a container that waits; with `all`, calls too that are allowed.
    async fn over(sandbox: &Sandbox, waiting: &Waiting, all: bool) -> Result<Self, StepError> {
        let name = &waiting.blueprint.ahead.profile;
        let profile = sandbox.profiles.get(name).ok_or(StepError::Without("seccomp profile"))?;
        let container = waiting.remains.container.as_ref().ok_or(StepError::Without("container"))?;
        let tally = Tally::new(Policy::of(name, profile), all);
        Self::attach(&sandbox.reaper, container.pid(), tally, all).await
    }

    /// Begins to watch what process 1 of a container, `init`, will start. Returns once nothing of it can be missed.
    async fn attach(reaper: &Reaper, init: Pid, tally: Tally, all: bool) -> Result<Self, StepError> {
        let pipe = || io::pipe().map_err(StepError::Pipe);
        let ((read, write), (words, complaints)) = (pipe()?, pipe()?);
        let own = reaper.clone();
        let started = tokio::task::spawn_blocking(move || start(&own, init, all, [write.into(), complaints.into()]));
        let started = started.await.map_err(io::Error::other).and_then(|started| started);
        let mut watcher = started.map_err(StepError::Trace)?;
        let receiver = |end: io::PipeReader| Receiver::from_owned_fd(end.into()).map_err(StepError::Pipe);
        let (mut read, mut complaints) = (receiver(read)?, receiver(words)?);
        let mut first = [0];
        let begun = timeout(DYING, read.read_exact(&mut first)).await;
        if !matches!(begun, Ok(Ok(_)) if first == [BEGUN]) {
            watcher.kill();
            let ended = watcher.ended().await;
            let words = said(&mut complaints).await;
            return Err(StepError::Trace(io::Error::other(format!("the watcher ended with {ended}: {words}"))));
        }
        let tally = Arc::new(Mutex::new(Some(tally)));
        let reading = tokio::spawn(sum_up(read, Arc::clone(&tally)));
        Ok(Self { watcher, tally, reading, complaints })
    }

    /// What was seen. To be asked for once the container has been killed: the watcher ends with the last of what it watches.
    async fn finish(mut self) -> Result<Calls, StepError> {
        let read = timeout(DYING, &mut self.reading).await;
        self.reading.abort();
        self.watcher.kill();
        self.watcher.ended().await;
        match read {
            Ok(Ok(read)) => read.map_err(StepError::Trace)?,
            Ok(Err(error)) => return Err(StepError::Trace(io::Error::other(error))),
            Err(_) => return Err(StepError::Undead),
        }
        let words = said(&mut self.complaints).await;
        if !words.is_empty() {
            return Err(StepError::Trace(io::Error::other(words)));
        }
        let tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner).take();
        tally.map(Tally::calls).ok_or(StepError::Without("tally"))
    }
}

fn start(reaper: &Reaper, init: Pid, all: bool, [out, complaints]: [OwnedFd; 2]) -> io::Result<Child> {
    let nothing = std::fs::File::open("/dev/null")?.into();
    let all = all.then(|| ALL.into());
    let words: Vec<OsString> = WATCH.iter().map(OsString::from).chain(all).chain([init.to_string().into()]).collect();
    // The very file that runs here, whatever lies at its path by now.
    let program = Program { path: Path::new("/proc/self/exe"), open: None };
    reaper.spawn(|| spawn(program, &words, &[nothing, out, complaints], &[]))
}

/// What a watcher that has ended had to say, on one line.
async fn said(complaints: &mut Receiver) -> String {
    let mut bytes = Vec::new();
    // Without an end within this time, or unreadable, it has said what it has said.
    let _ = timeout(DYING, complaints.take(WORDS as u64).read_to_end(&mut bytes)).await;
    escaped(String::from_utf8_lossy(&bytes).trim_end())
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
