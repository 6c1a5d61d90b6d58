//! One step in one container: prepare, create, read the limits back, start, watch, gather the evidence.

use std::io;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use thiserror::Error;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::capture::{Capture, Live, read_report};
use super::stdin;
use super::watchdog::Watchdog;
use super::workdir::WorkdirError;
use crate::bundle::init::{self, Report};
use crate::bundle::{self, Plan};
use crate::cgroup::{CgroupError, Delegation, Leaf};
use crate::model::{Captured, CpuTime, Evidence, Fault, Pids, StepKind, StepReport, Stop, Streams};
use crate::report::conclude;
use crate::runtime::reaper::Reaper;
use crate::runtime::{Container, Create, Runtime, RuntimeError};
use crate::telemetry::escaped;

/// How long a killed container may take to be gone, and its pipes to close, before that is a fault of ours.
const DYING: Duration = Duration::from_secs(10);

/// The most of a runtime's words that is worth a log line, in bytes.
const WORDS: usize = 2048;

/// What went wrong on our side of a step.
#[derive(Debug, Error)]
pub enum StepError {
    /// See the source.
    #[error("cannot make a pipe")]
    Pipe(#[source] io::Error),
    /// See the source.
    #[error("the bundle lacks a value")]
    Bundle(#[from] oci_spec::OciSpecError),
    /// See the source.
    #[error("cannot prepare the job's cgroup")]
    Prepare(#[source] CgroupError),
    /// See the source.
    #[error("a limit is not in force")]
    Limits(#[source] CgroupError),
    /// See the source.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// See the source.
    #[error(transparent)]
    Workdir(#[from] WorkdirError),
    /// The image has no such program, or may not run it.
    #[error("the init cannot start {program}: {errno}")]
    Exec {
        /// The program.
        program: String,
        /// Why.
        errno: Errno,
    },
    /// See the source.
    #[error("the output could not be read")]
    Output(#[source] io::Error),
    /// The container did not end, or its pipes did not close, after it was killed.
    #[error("the container was still there {DYING:?} after it was killed")]
    Undead,
    /// The init wrote something else than its report.
    #[error("the init's report is unusable")]
    Report(#[source] init::ReportError),
    /// The container ended, and nothing that was seen says how.
    #[error("{0}")]
    Unexplained(Fault),
    /// All blocks of ids are in use, or the profile or image is gone.
    #[error("no {0} for the step")]
    Without(&'static str),
}

impl StepError {
    /// What a client is told of it.
    pub(super) const fn fault(&self) -> Fault {
        match self {
            Self::Limits(_) => Fault::Limits,
            Self::Runtime(_) => Fault::Runtime,
            Self::Report(_) | Self::Undead | Self::Output(_) | Self::Unexplained(_) => Fault::NoEvidence,
            _ => Fault::Prepare,
        }
    }
}

/// What a step needs of its surroundings.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) reaper: &'a Reaper,
    pub(super) delegation: &'a Delegation,
    /// The container's name, and that of its leaf.
    pub(super) name: &'a str,
    /// An empty directory for its bundle.
    pub(super) dir: &'a Path,
    pub(super) kind: StepKind,
    pub(super) stdin: &'a [u8],
    pub(super) streams: Streams,
    pub(super) cancel: &'a CancellationToken,
}

/// What a step leaves behind, to be cleared once its result is known. Nothing in it runs any more, or it is killed.
#[derive(Debug)]
pub(super) struct Remains {
    container: Option<Container>,
    leaf: Leaf,
}

impl Remains {
    /// Whether all of it is gone for certain.
    pub(super) async fn clear(self) -> bool {
        self.leaf.lift_cpu();
        let mut gone = true;
        if let Some(container) = self.container
            && let Err(error) = container.delete().await
        {
            gone = false;
            tracing::error!(error = &error as &dyn std::error::Error, "a container could not be deleted");
        }
        self.leaf.kill();
        if let Err(error) = self.leaf.remove() {
            gone = false;
            tracing::error!(error = &error as &dyn std::error::Error, "a cgroup stays behind");
        }
        gone
    }
}

/// Runs the step. What is left of it is pushed to `remains` whatever happens.
pub(super) async fn run(
    at: &Surroundings<'_>,
    mut plan: Plan<'_>,
    live: Option<Live<'_>>,
    remains: &mut Vec<Remains>,
) -> Result<StepReport, StepError> {
    let began = Instant::now();
    let leaf = at.delegation.leaf(at.name, plan.limits).map_err(StepError::Prepare)?;
    remains.push(Remains { container: None, leaf });
    let Some(Remains { container: place, leaf }) = remains.last_mut() else { unreachable!("pushed above") };

    let cgroup = leaf.oci_path();
    plan.cgroup = cgroup.as_deref();
    let (capture, ends) = Capture::open(at.streams, plan.limits.output, plan.ids.job).map_err(StepError::Pipe)?;
    let (input, rest) = stdin::open(at.stdin, plan.ids.job).map_err(StepError::Pipe)?;
    let (report, report_end) = io::pipe().map_err(StepError::Pipe)?;
    let create = Create {
        id: at.name,
        spec: &bundle::spec(&plan)?,
        dir: at.dir,
        stdio: [input, ends.out, ends.err],
        report: report_end.into(),
        join: leaf.join().map_err(StepError::Prepare)?,
    };
    let prepared = began.elapsed();
    let container = match Container::create(at.runtime, at.reaper, create).await {
        Ok(container) => place.insert(container),
        Err(error) => return Err(failed(error, &capture).await),
    };

    let created = began.elapsed();
    leaf.arm(plan.limits, container.pid()).map_err(StepError::Limits)?;
    leaf.verify(plan.limits, container.pid()).map_err(StepError::Limits)?;
    let oom = leaf.oom_event().map_err(StepError::Prepare)?;
    let peak_before = leaf.pids_peak();
    let used_before = leaf.cpu_time().unwrap_or(CpuTime(0));

    let started = Instant::now();
    container.start().await?;
    let (verified, begun) = (started.duration_since(began), started.elapsed());
    let watchdog =
        Watchdog { limits: plan.limits, leaf, capture: &capture, oom, cancel: at.cancel, started, used_before };
    let feed = async {
        if let Some(rest) = rest {
            rest.pump().await;
        }
        std::future::pending::<()>().await;
    };
    let drain = capture.drain(live);
    tokio::pin!(feed, drain);
    let mut output = None;
    let stop = {
        let supervise = supervise(container, leaf, watchdog);
        tokio::pin!(supervise);
        loop {
            tokio::select! {
                biased;
                stop = &mut supervise => break stop?,
                drained = &mut drain, if output.is_none() => output = Some(drained),
                () = &mut feed => {}
            }
        }
    };
    let wall = started.elapsed();
    capture.ended();
    let output = match output {
        Some(output) => output,
        None => timeout(DYING, drain).await.map_err(|_| StepError::Undead)?,
    }
    .map_err(StepError::Output)?;
    let said = timeout(DYING, read_report(report.into(), init::LONGEST_REPORT as u64 + 1));
    let said = said.await.map_err(|_| StepError::Undead)?.map_err(StepError::Output)?;
    let wait = match Report::parse(&said).map_err(StepError::Report)? {
        Some(Report::Ended { wait, user, system, max_rss }) => {
            leaf.told(CpuTime(user.0 + system.0), max_rss);
            Some(wait)
        }
        Some(Report::NotStarted { errno, .. }) => {
            let program = plan.argv.first().cloned().unwrap_or_default();
            return Err(StepError::Exec { program, errno: Errno::from_raw(errno) });
        }
        None => None,
    };
    tracing::debug!(
        "{}: prepared {prepared:?}, created {:?}, verified {:?}, started {begun:?}, ran {:?}",
        at.name,
        created.saturating_sub(prepared),
        verified.saturating_sub(created),
        wall.saturating_sub(begun),
    );
    let usage = leaf.usage();
    let evidence = Evidence {
        wait,
        stop,
        oom_kills: usage.oom_kills,
        pids_refused: usage.pids_refused,
        pids_peak: own_peak(peak_before, usage.pids_peak),
        throttled: usage.throttled,
        cpu_time: usage.cpu_time.map(|t| CpuTime(t.0.saturating_sub(used_before.0))),
        memory_peak: usage.memory_peak,
        wall: Some(crate::model::WallTime::from_duration(wall)),
        output,
    };
    conclude(at.kind, evidence, plan.limits, at.delegation.enforcement()).map_err(StepError::Unexplained)
}

/// The runtime's own threads were in the group too (runc has about ten): what is not above their peak may be theirs.
fn own_peak(before: Option<Pids>, after: Option<Pids>) -> Option<Pids> {
    after.filter(|after| *after <= Pids(1) || before.is_some_and(|before| before < *after))
}

/// A runtime that fails before it has opened its log writes to the standard error that is to become the job's.
async fn failed(error: RuntimeError, capture: &Capture) -> StepError {
    let said = timeout(DYING, capture.drain(None)).await;
    if let Ok(Ok(Captured { stdout, stderr, .. })) = said {
        let said = [stdout, stderr].concat();
        tracing::error!("create: {}", escaped(&String::from_utf8_lossy(&said[..said.len().min(WORDS)])));
    }
    error.into()
}

/// Waits for the container's end and hurries it when there is a reason.
async fn supervise(container: &mut Container, leaf: &Leaf, watchdog: Watchdog<'_>) -> Result<Option<Stop>, StepError> {
    let stop = tokio::select! {
        biased;
        _ = container.ended() => return Ok(None),
        stop = watchdog.reason() => stop,
    };
    leaf.lift_cpu();
    container.kill();
    timeout(DYING, container.ended()).await.map_err(|_| StepError::Undead)?;
    Ok(Some(stop))
}
