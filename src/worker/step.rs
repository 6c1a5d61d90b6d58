//! One step in one container that waits for it: hand over, watch, gather the evidence.

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use nix::errno::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Sender;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::capture::{Live, read_report};
use super::ending::not_held_up;
use super::error::{DYING, StepError};
use super::launch::Waiting;
use super::remains::Remains;
use super::watchdog::Watchdog;
use super::workdir::CodeFile;
use crate::bundle::init::{self, Report};
use crate::cgroup::Leaf;
use crate::language::StepPlan;
use crate::model::{CODE_PATH, CpuTime, Elapsed, Evidence, Pids, StepReport, Stop, WaitStatus, WallTime};
use crate::report::conclude;
use crate::runtime::Container;

/// What a shell answers for a program that is there and cannot be executed (POSIX, 2.8.2 Exit Status for Commands).
const NOT_EXECUTABLE: u8 = 126;

/// What is handed over to a container that waits.
#[derive(Debug)]
pub(super) struct Handover<'a> {
    /// The command.
    pub(super) argv: &'a [String],
    /// Its whole environment; a container that waits has the language's own.
    pub(super) env: &'a [(String, String)],
    /// What a container that waits warm is told instead.
    pub(super) told: Option<&'a [u8]>,
    /// What lies in `/code` at the start.
    pub(super) files: &'a [CodeFile],
    /// Standard input.
    pub(super) stdin: &'a [u8],
    /// How much is kept of what it prints within its limit, in bytes.
    pub(super) keep: u64,
}

impl<'a> Handover<'a> {
    /// This command over these files, with nothing on standard input.
    pub(super) fn of(plan: &'a StepPlan, files: &'a [CodeFile]) -> Self {
        Self { argv: &plan.argv, env: &plan.env, told: plan.told.as_deref(), files, stdin: &[], keep: u64::MAX }
    }
}

/// Hands the step over and sees it through to its end. What is left of the container comes back whatever happens; with the
/// report, nothing of the job's runs in it any more, and the init is on its way out.
pub(super) async fn run(
    waiting: Waiting,
    handover: &Handover<'_>,
    cancel: &CancellationToken,
    live: Live<'_>,
) -> (Result<StepReport, StepError>, Remains) {
    let Waiting { blueprint, mut remains, capture, stdin, word, report, oom, enforcement, .. } = waiting;
    let Remains { container: Some(container), leaf: Some(leaf), workdir: Some(workdir), name, .. } = &mut remains
    else {
        return (Err(StepError::Without("container")), remains);
    };
    let limits = &blueprint.limits;
    let carry_out = async {
        workdir.put(handover.files)?;
        let message = if blueprint.ahead.warm.is_some() {
            handover.told.map(<[u8]>::to_vec).ok_or(StepError::Without("word for a warm container"))?
        } else {
            word_to_begin(&blueprint.ahead.argv, handover.argv)
        };
        // What the runtime and a command that waited have used and met is not the job's.
        let (peak_before, before) = (leaf.pids_peak(), leaf.usage());
        let used_before = before.cpu_time.unwrap_or(CpuTime(0));
        let started = Instant::now();
        let input = fill(stdin, handover.stdin).map_err(StepError::Pipe)?;
        let word = fill(word, &message).map_err(StepError::Pipe)?;
        let feed = async {
            tokio::join!(pump(word), pump(input));
            std::future::pending::<()>().await;
        };
        let watchdog = Watchdog { limits, leaf, capture: &capture, oom, cancel, started, used_before };
        let drain = capture.drain(live, handover.keep);
        let report = read_report(report, init::LONGEST_REPORT as u64 + 1);
        tokio::pin!(feed, drain, report);
        let (mut output, said) = (None, OnceLock::new());
        let stop = {
            // The init reports last of all that happens in its container, unless the program left processes behind. What
            // follows is the kernel's taking down of namespaces, for which nobody need wait.
            let reported = async {
                let read = report.as_mut().await;
                let whole = read.as_ref().is_ok_and(|bytes| !bytes.is_empty());
                let _ = said.set(read);
                if !(whole && leaf.is_deserted()) {
                    std::future::pending::<()>().await;
                }
            };
            let supervise = supervise(container, leaf, watchdog, reported);
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
        let said = match said.into_inner() {
            Some(said) => said,
            None => timeout(DYING, report).await.map_err(|_| StepError::Undead)?,
        }
        .map_err(StepError::Output)?;
        let wait = match Report::parse(&said).map_err(StepError::Report)? {
            Some(Report::Ended { wait, user, system, max_rss }) => {
                leaf.told(CpuTime(user.0 + system.0), max_rss);
                Some(wait)
            }
            // What it compiled to is the program's own doing, executable or not: as a shell says it, 126.
            Some(Report::NotStarted { step: init::Step::Exec, .. }) if own_program(handover.argv) => {
                Some(WaitStatus::Exited(NOT_EXECUTABLE))
            }
            Some(Report::NotStarted { errno, .. }) => {
                let program = handover.argv.first().cloned().unwrap_or_default();
                return Err(StepError::Exec { program, errno: Errno::from_raw(errno) });
            }
            None => None,
        };
        tracing::debug!("{name}: ran {wall:?}");
        let usage = leaf.usage();
        let evidence = Evidence {
            wait,
            stop,
            oom_kills: since(before.oom_kills, usage.oom_kills),
            pids_refused: since(before.pids_refused, usage.pids_refused),
            pids_peak: own_peak(peak_before, usage.pids_peak),
            throttled: since(before.throttled, usage.throttled),
            cpu_time: usage.cpu_time.map(|t| CpuTime(t.0.saturating_sub(used_before.0))),
            memory_peak: usage.memory_peak,
            wall: Some(WallTime::from_duration(wall)),
            elapsed: Some(Elapsed::from_duration(wall)),
            output,
            calls: None,
        };
        conclude(blueprint.kind, evidence, limits, enforcement).map_err(StepError::Unexplained)
    };
    let result = carry_out.await;
    (result, remains)
}

/// What a counter has counted since; absent where it cannot be read now.
fn since(before: Option<u64>, now: Option<u64>) -> Option<u64> {
    now.map(|now| now.saturating_sub(before.unwrap_or(0)))
}

/// Whether the program is a file of the job's, not of the image.
fn own_program(argv: &[String]) -> bool {
    argv.first().is_some_and(|program| Path::new(program).starts_with(CODE_PATH))
}

/// The runtime's own threads were in the group too (runc has about ten): what is not above their peak may be theirs.
fn own_peak(before: Option<Pids>, after: Option<Pids>) -> Option<Pids> {
    after.filter(|after| *after <= Pids(1) || before.is_some_and(|before| before < *after))
}

/// The init's message (`rootfs-build/init/init.rs`): the command, unless it is the one that the container has already.
fn word_to_begin(has: &[String], wanted: &[String]) -> Vec<u8> {
    let mut message = Vec::new();
    if has != wanted {
        for word in wanted {
            message.extend_from_slice(word.as_bytes());
            message.push(0);
        }
    }
    message.push(b'g');
    message
}

/// Writes what fits at once; with a rest, the pipe stays open for it.
fn fill(pipe: Sender, bytes: &[u8]) -> io::Result<Option<(Sender, &[u8])>> {
    let rest = if bytes.is_empty() { bytes } else { Waiting::fill(&pipe, bytes)? };
    Ok((!rest.is_empty()).then_some((pipe, rest)))
}

/// Writes what is left, then closes. A job that closes its input early is no error.
async fn pump(rest: Option<(Sender, &[u8])>) {
    if let Some((mut pipe, bytes)) = rest {
        let _ = pipe.write_all(bytes).await;
    }
}

/// Waits for the container's end, or for `over`, after which nothing of the job's is left in it; and hurries it when there
/// is a reason.
async fn supervise(
    container: &mut Container,
    leaf: &Leaf,
    watchdog: Watchdog<'_>,
    over: impl Future<Output = ()>,
) -> Result<Option<Stop>, StepError> {
    let init = container.pid();
    let stop = tokio::select! {
        biased;
        _ = container.ended() => return Ok(None),
        () = over => return Ok(None),
        stop = watchdog.reason() => stop,
        () = not_held_up(init, leaf) => unreachable!("it never resolves"),
    };
    leaf.lift_cpu();
    container.kill();
    timeout(DYING, container.ended()).await.map_err(|_| StepError::Undead)?;
    Ok(Some(stop))
}
