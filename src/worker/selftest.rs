//! The self-test at start: runs into each limit for real, in containers that are made as every job's is, and tells which
//! did not hold. No setting turns it off.
//!
//! Its program is `rootfs-build/init/probe.rs`. What the ending of each probe has to be is a table of its own
//! (`judge.rs`); nothing here decides.

mod judge;

use std::io;
use std::sync::Arc;

use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::judge::{Namespaces, Probe};
use super::blueprint::Blueprint;
use super::capture::Live;
use super::error::StepError;
use super::sandbox::Sandbox;
use super::step::{self, Handover};
use super::workdir::CodeFile;
use crate::language::Ahead;
use crate::model::{CODE_PATH, StepKind, StepReport, Streams, WallTime};

/// The static executable.
const PROBE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe"));

/// Its name in `/code`.
const PROGRAM: &str = "probe";

/// What running programs are under.
const PROFILE: &str = "run";

/// Why nothing is served.
#[derive(Debug, Error)]
pub enum SelfTestError {
    /// Named as people know them.
    #[error("the self-test ran into these limits and was not stopped: {}", .0.join(", "))]
    NotHeld(Vec<String>),
    /// See the source.
    #[error("the self-test of {0} could not be carried out")]
    Step(&'static str, #[source] StepError),
    /// See the source.
    #[error("the service's own namespaces cannot be told")]
    Namespaces(#[source] io::Error),
    /// There is no language, or one of ours panicked.
    #[error("the self-test has no {0}")]
    Without(&'static str),
}

/// Runs every probe, all at once.
///
/// # Errors
/// Naming every limit that did not hold.
pub async fn run(sandbox: &Arc<Sandbox>) -> Result<(), SelfTestError> {
    let began = Instant::now();
    let own = Namespaces::own().map_err(SelfTestError::Namespaces)?;
    // The first container has its filter compiled; all that follow, probes and jobs, get the result. What is tested is what
    // they get.
    let first = sandbox.launch(&blueprint(sandbox, Probe::ALL[0])?).await;
    first.map_err(|error| SelfTestError::Step("the filter", error))?.remains.clear().await;
    let mut probes = JoinSet::new();
    for probe in Probe::ALL {
        let sandbox = Arc::clone(sandbox);
        probes.spawn(async move { (probe, carry_out(&sandbox, probe).await) });
    }
    let mut open = Vec::new();
    while let Some(done) = probes.join_next().await {
        let (probe, report) = done.map_err(|_| SelfTestError::Without("end"))?;
        open.extend(judge::open(probe, &report?, &own));
    }
    tracing::info!("self-test: {} probes in {:?}", Probe::ALL.len(), began.elapsed());
    open.sort();
    open.dedup();
    if open.is_empty() { Ok(()) } else { Err(SelfTestError::NotHeld(open)) }
}

/// The container of a probe.
fn blueprint(sandbox: &Sandbox, probe: Probe) -> Result<Arc<Blueprint>, SelfTestError> {
    let language = sandbox.languages.iter().next().ok_or(SelfTestError::Without("language"))?;
    let ahead = Ahead {
        argv: vec![format!("{CODE_PATH}/{PROGRAM}"), probe.argument().to_owned()],
        env: Vec::new(),
        cwd: CODE_PATH.to_owned(),
        profile: PROFILE.to_owned(),
        warm: None,
    };
    Ok(Arc::new(Blueprint {
        language: String::new(),
        image: language.image.clone(),
        kind: StepKind::Run,
        ahead,
        // Where a call of the runtime may take long, so may what it has started.
        limits: probe.limits(WallTime(u64::try_from(sandbox.runtime.limit.as_millis()).unwrap_or(u64::MAX))),
        streams: Streams::Merged,
        code: true,
    }))
}

/// One probe as a step of its own. It is cleared up before its report is looked at.
async fn carry_out(sandbox: &Arc<Sandbox>, probe: Probe) -> Result<StepReport, SelfTestError> {
    let blueprint = blueprint(sandbox, probe)?;
    let failed = |error| SelfTestError::Step(probe.name(), error);
    let waiting = sandbox.launch(&blueprint).await.map_err(failed)?;
    let files = [CodeFile { path: PROGRAM.into(), mode: 0o555, bytes: PROBE.to_vec() }];
    let handover =
        Handover { argv: &blueprint.ahead.argv, env: &[], told: None, files: &files, stdin: &[], keep: u64::MAX };
    let (report, remains) = step::run(waiting, &handover, &CancellationToken::new(), Live::default()).await;
    remains.clear().await;
    report.map_err(failed)
}
