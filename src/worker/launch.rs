//! Brings a container up to the point where it waits for its job: ids, directory, cgroup, pipes, bundle; every limit set
//! and read back. Nothing of a job's is in it yet, and nothing of a job's runs before it is handed over.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::{Instant, timeout};

use super::blueprint::{Blueprint, Place};
use super::capture::{self, Capture, Ends, Live};
use super::collect::Tmp;
use super::error::{DYING, StepError, WORDS};
use super::remains::Remains;
use super::workdir::{Workdir, WorkdirError};
use crate::bundle::Ids;
use crate::model::{Bytes, Captured, Enforcement};
use crate::runtime::{Bundle, Container, RuntimeError};
use crate::telemetry::{carried, escaped};

use super::Sandbox;

/// A container that waits for its job.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) blueprint: Arc<Blueprint>,
    pub(super) remains: Remains,
    pub(super) capture: Capture,
    /// What becomes its standard input.
    pub(super) stdin: Sender,
    /// Where it gets its word to begin.
    pub(super) word: Sender,
    /// Where the init reports how the program ended.
    pub(super) report: Receiver,
    /// Announces on cgroup v1 that it is out of memory.
    pub(super) oom: Option<OwnedFd>,
    /// Who sees to its limits.
    pub(super) enforcement: Enforcement,
    /// Since when it waits.
    pub(super) since: Instant,
    /// The most memory that it has held, once it has settled.
    pub(super) settled: Option<Bytes>,
}

/// What runs while a container waits is up, and sleeps, after this long.
const SETTLED: Duration = Duration::from_secs(5);

/// Everything that is made without the runtime.
struct Prepared {
    remains: Remains,
    capture: Capture,
    stdin: OwnedFd,
    word: OwnedFd,
    report: OwnedFd,
    descriptors: [OwnedFd; 5],
    join: Vec<OwnedFd>,
    spec: oci_spec::runtime::Spec,
    dir: PathBuf,
}

impl Sandbox {
    /// Makes a container. What was made of one that failed is cleared away.
    pub(super) async fn launch(self: &Arc<Self>, blueprint: &Arc<Blueprint>) -> Result<Waiting, StepError> {
        let began = Instant::now();
        let made = self.make(blueprint).await;
        match made {
            Ok(_) => self.stock.counts.made(began.elapsed()),
            Err(_) => drop(self.stock.counts.failed.inc()),
        }
        made
    }

    async fn make(self: &Arc<Self>, blueprint: &Arc<Blueprint>) -> Result<Waiting, StepError> {
        let began = Instant::now();
        let (own, plan) = (Arc::clone(self), Arc::clone(blueprint));
        // Mounting and making cgroups may take milliseconds, which no other task should wait for.
        let prepared = tokio::task::spawn_blocking(carried(move || own.prepare(&plan))).await;
        let Prepared { mut remains, capture, stdin, word, report, descriptors, join, spec, dir } =
            prepared.map_err(|e| StepError::Pipe(io::Error::other(e)))??;
        let prepared = began.elapsed();
        let bundle = Bundle { id: &remains.name, spec: &spec, dir: &dir, descriptors, join };
        match Container::run(&self.runtime, &self.reaper, bundle).await {
            Ok(container) => {
                remains.container = Some(container);
                self.stock.filters.learn(&blueprint.ahead.profile, &self.runtime, &remains.name);
            }
            Err(error) => {
                let error = failed(error, &capture).await;
                remains.clear().await;
                return Err(error);
            }
        }
        let created = began.elapsed();
        let oom = match enforce(&remains, blueprint) {
            Ok(oom) => oom,
            Err(error) => {
                remains.clear().await;
                return Err(error);
            }
        };
        tracing::debug!(
            "{}: prepared {prepared:?}, created {:?}, verified {:?}",
            remains.name,
            created.saturating_sub(prepared),
            began.elapsed().saturating_sub(created),
        );
        let pipes = || -> io::Result<(Sender, Sender, Receiver)> {
            Ok((Sender::from_owned_fd(stdin)?, Sender::from_owned_fd(word)?, Receiver::from_owned_fd(report)?))
        };
        match pipes() {
            Ok((stdin, word, report)) => {
                let (blueprint, enforcement) = (Arc::clone(blueprint), self.delegation.enforcement());
                let since = Instant::now();
                Ok(Waiting { blueprint, remains, capture, stdin, word, report, oom, enforcement, since, settled: None })
            }
            Err(error) => {
                remains.clear().await;
                Err(StepError::Pipe(error))
            }
        }
    }

    fn prepare(&self, blueprint: &Blueprint) -> Result<Prepared, StepError> {
        let Blueprint { image, ahead, limits, streams, code, .. } = blueprint;
        let profile = self.profiles.get(&ahead.profile).ok_or(StepError::Without("seccomp profile"))?;
        let block = self.ids.take().ok_or(StepError::Without("free block of ids"))?;
        let ids = Ids { root: block.root(), job: block.job() };
        let name = format!("c{}", self.launched.fetch_add(1, Ordering::Relaxed));
        let room = code.then_some((limits.tmp, limits.tmp_inodes));
        let workdir = Workdir::new(&self.stage, &name, room, ids.job)?;
        let root = self.stage.root(image).map_err(WorkdirError::from)?;
        let leaf = self.delegation.leaf(&name, limits).map_err(StepError::Prepare)?;
        let cgroup = leaf.oci_path();
        let join = leaf.join();
        // From here on everything that was made goes away with this, whatever fails.
        let mut remains =
            Remains { container: None, leaf: Some(leaf), root: None, workdir: Some(workdir), block: Some(block), name };
        let rootfs = remains.root.insert(root).path().to_owned();
        let join = join.map_err(StepError::Prepare)?;
        let dir = remains.bundle().ok_or(StepError::Without("directory"))?;
        let code = remains.workdir.as_ref().and_then(Workdir::code);

        let (capture, Ends { out, err }) = Capture::open(*streams, limits.output, ids.job).map_err(StepError::Pipe)?;
        let (input, stdin) = capture::pipe(ids.job).map_err(StepError::Pipe)?;
        let (report, report_end) = io::pipe().map_err(StepError::Pipe)?;
        let (word_end, word) = capture::pipe(ids.job).map_err(StepError::Pipe)?;
        let compiled = self.stock.filters.get(&ahead.profile);
        let kits = self.stage.kits();
        let place = Place {
            rootfs: &rootfs,
            kits: &kits,
            code: code.as_deref(),
            ids,
            core: self.core,
            cgroup: cgroup.as_deref(),
            compiled_filter: compiled.as_deref(),
        };
        let spec = blueprint.spec(profile, &place)?;
        Ok(Prepared {
            remains,
            capture,
            stdin,
            word,
            report: report.into(),
            descriptors: [input, out, err, report_end.into(), word_end],
            join,
            spec,
            dir,
        })
    }
}

/// Puts the last limits in force and reads all of them back.
fn enforce(remains: &Remains, blueprint: &Blueprint) -> Result<Option<OwnedFd>, StepError> {
    let (Some(leaf), Some(container)) = (&remains.leaf, &remains.container) else {
        return Err(StepError::Without("container"));
    };
    leaf.arm(&blueprint.limits, container.pid()).map_err(StepError::Limits)?;
    leaf.verify(&blueprint.limits, container.pid()).map_err(StepError::Limits)?;
    leaf.oom_event().map_err(StepError::Prepare)
}

/// A runtime that fails before it has opened its log writes to the standard error that is to become the job's.
async fn failed(error: RuntimeError, capture: &Capture) -> StepError {
    let said = timeout(DYING, capture.drain(Live::default(), u64::MAX)).await;
    if let Ok(Ok(Captured { stdout, stderr, .. })) = said {
        let said = [stdout, stderr].concat();
        if !said.is_empty() {
            tracing::error!("run: {}", escaped(&String::from_utf8_lossy(&said[..said.len().min(WORDS)])));
        }
    }
    error.into()
}

impl Waiting {
    /// Whether it is still there to be used.
    pub(super) fn is_well(&mut self) -> bool {
        self.remains.container.as_mut().is_some_and(|container| !container.is_over())
    }

    /// The most memory that it has held, which is more than what it holds; absent where that cannot be read.
    pub(super) fn memory(&mut self) -> Option<Bytes> {
        if self.settled.is_none() {
            let peak = self.remains.leaf.as_ref()?.memory_peak();
            if self.since.elapsed() < SETTLED {
                return peak;
            }
            self.settled = peak;
        }
        self.settled
    }

    /// Its `/tmp`.
    pub(super) fn tmp(&self) -> Result<Tmp, StepError> {
        let container = self.remains.container.as_ref().ok_or(StepError::Without("container"))?;
        Tmp::of(container.pid()).map_err(StepError::Tmp)
    }

    /// What one that ended without a job had printed, on one line.
    pub(super) fn last_words(&self) -> String {
        escaped(&String::from_utf8_lossy(&self.capture.waiting_bytes(WORDS)))
    }

    /// Writes `bytes` into a fresh pipe as far as they fit at once; what is left.
    pub(super) fn fill<'a>(pipe: &Sender, bytes: &'a [u8]) -> io::Result<&'a [u8]> {
        match rustix::io::write(pipe.as_fd(), bytes) {
            Ok(n) => Ok(&bytes[n..]),
            Err(rustix::io::Errno::AGAIN) => Ok(bytes),
            Err(errno) => Err(errno.into()),
        }
    }
}
