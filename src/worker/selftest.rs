//! The self-test at start: runs into each limit for real, in containers that are made as every job's is, and tells which
//! did not hold. No setting turns it off.
//!
//! Its program is `rootfs-build/init/probe.rs`. What the ending of each probe has to be is a table of its own
//! (`judge.rs`); nothing here decides.

mod judge;

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::judge::{Namespaces, Probe};
use super::sandbox::Sandbox;
use super::step::{self, StepError, Surroundings};
use super::workdir::WorkdirError;
use crate::bundle::{Ids, Plan};
use crate::model::{CODE_PATH, StepKind, StepReport, Streams};

/// The static executable.
const PROBE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/probe"));

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
    #[error("the self-test has no place on the stage")]
    Place(#[source] io::Error),
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
    let place = Arc::new(Place::new(&sandbox.stage.jobs().join("self-test")).map_err(SelfTestError::Place)?);
    let mut probes = JoinSet::new();
    for probe in Probe::ALL {
        let (sandbox, place) = (Arc::clone(sandbox), Arc::clone(&place));
        probes.spawn(async move { (probe, carry_out(&sandbox, &place, probe).await) });
    }
    let mut open = Vec::new();
    while let Some(done) = probes.join_next().await {
        let (probe, report) = done.map_err(|_| SelfTestError::Without("end"))?;
        let report = report.map_err(|error| match error {
            SelfTestError::Step(_, source) => SelfTestError::Step(probe.name(), source),
            other => other,
        })?;
        open.extend(judge::open(probe, &report, &own));
    }
    tracing::info!("self-test: {} probes in {:?}", Probe::ALL.len(), began.elapsed());
    open.sort();
    open.dedup();
    if open.is_empty() { Ok(()) } else { Err(SelfTestError::NotHeld(open)) }
}

/// One probe as a step of its own. It is cleared up before its report is looked at.
async fn carry_out(sandbox: &Sandbox, place: &Place, probe: Probe) -> Result<StepReport, SelfTestError> {
    let failed = |error| SelfTestError::Step("", error);
    let profile = sandbox.profiles.get(PROFILE).ok_or(SelfTestError::Without("seccomp profile"))?;
    let language = sandbox.languages.iter().next().ok_or(SelfTestError::Without("language"))?;
    let block = sandbox.ids.take().ok_or(SelfTestError::Without("free block of ids"))?;
    let root = sandbox.stage.root(&language.image).map_err(|e| failed(WorkdirError::from(e).into()))?;
    let name = format!("c{}", sandbox.launched.fetch_add(1, Ordering::Relaxed));
    let dir = place.bundle(probe).map_err(SelfTestError::Place)?;
    let cancel = CancellationToken::new();
    let at = Surroundings {
        runtime: &sandbox.runtime,
        reaper: &sandbox.reaper,
        delegation: &sandbox.delegation,
        name: &name,
        dir: &dir,
        kind: StepKind::Run,
        stdin: &[],
        streams: Streams::Merged,
        cancel: &cancel,
    };
    let limits = probe.limits();
    let plan = Plan {
        argv: &[format!("{CODE_PATH}/probe"), probe.argument().to_owned()],
        env: &[],
        cwd: CODE_PATH,
        limits: &limits,
        seccomp: profile.to_oci().map_err(|e| failed(e.into()))?,
        rootfs: root.path(),
        code: &place.code(),
        code_writable: false,
        ids: Ids { root: block.root(), job: block.job() },
        cgroup: None,
    };
    let mut remains = Vec::new();
    let report = step::run(&at, plan, None, &mut remains).await;
    let mut gone = true;
    for rest in remains {
        gone &= rest.clear().await;
    }
    if gone {
        root.give_back();
    }
    drop(block);
    report.map_err(failed)
}

/// A directory on the stage with the program and a bundle for each probe; goes away with this value.
#[derive(Debug)]
struct Place(PathBuf);

impl Place {
    fn new(path: &Path) -> io::Result<Self> {
        make(path, 0o711)?;
        let place = Self(path.to_owned());
        make(&place.code(), 0o755)?;
        let program = place.code().join("probe");
        fs::write(&program, PROBE)?;
        fs::set_permissions(&program, Permissions::from_mode(0o555))?;
        Ok(place)
    }

    fn code(&self) -> PathBuf {
        self.0.join("code")
    }

    fn bundle(&self, probe: Probe) -> io::Result<PathBuf> {
        let path = self.0.join(probe.argument());
        make(&path, 0o700)?;
        Ok(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::error!(error = &error as &dyn std::error::Error, "the directory of the self-test stays behind");
        }
    }
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}
