//! Runs whole jobs: a directory, a block of ids, the compile step and the runs, and what is left afterwards.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::capture::Live;
use super::step::{self, Remains, StepError, Surroundings};
use super::workdir::{Workdir, WorkdirError};
use crate::bundle::{Ids, Plan};
use crate::cgroup::Delegation;
use crate::host::ids::{IdBlock, IdBlocks};
use crate::host::stage::{Root, Stage};
use crate::language::{Languages, StepPlan};
use crate::model::{Fault, Job, JobReport, Limits, Outcome, StepKind, StepReport, Verdict};
use crate::runtime::Runtime;
use crate::runtime::reaper::Reaper;
use crate::seccomp::Profiles;
use crate::telemetry::{Tag, chain};

/// Everything that running a job needs. Shared by all workers.
#[derive(Debug)]
pub struct Sandbox {
    /// The runtime.
    pub runtime: Runtime,
    /// Who waits for processes.
    pub reaper: Reaper,
    /// Where the limits come from.
    pub delegation: Delegation,
    /// Where the images and jobs stand.
    pub stage: Stage,
    /// Subordinate ids.
    pub ids: IdBlocks,
    /// What can be run.
    pub languages: Languages,
    /// What a step may ask of the kernel.
    pub profiles: Profiles,
    /// How many containers there were, for their names.
    pub launched: AtomicU64,
}

/// What is left of a job once its report is known. The order of the fields is the order of going: containers first, then
/// the directory, then the ids may be given to somebody else.
#[derive(Debug, Default)]
pub struct Leftovers {
    steps: Vec<Remains>,
    root: Option<Root>,
    workdir: Option<Workdir>,
    block: Option<IdBlock>,
}

impl Leftovers {
    /// Deletes all of it.
    pub async fn clear(mut self) {
        let mut gone = true;
        for remains in self.steps.drain(..) {
            gone &= remains.clear().await;
        }
        if let Some(root) = self.root.take().filter(|_| gone) {
            root.give_back();
        }
        drop(self.workdir.take());
        drop(self.block.take());
    }
}

impl Sandbox {
    /// Runs `job` to its end. Never fails: a failure of ours is a report too, logged here with its cause.
    pub async fn execute(
        &self,
        job: &Job,
        cancel: &CancellationToken,
        live: Option<Live<'_>>,
    ) -> (JobReport, Leftovers) {
        let mut leftovers = Leftovers::default();
        let steps = usize::from(job.compile.is_some()) + job.runs.len();
        tracing::info!(tag = %Tag::Exec(job.id), "{}: {steps} steps to carry out, each in a container", job.language);
        let report = match self.steps(job, cancel, live, &mut leftovers).await {
            Ok(report) => report,
            Err(fault) => JobReport::faulted(fault),
        };
        (report, leftovers)
    }

    async fn steps(
        &self,
        job: &Job,
        cancel: &CancellationToken,
        live: Option<Live<'_>>,
        left: &mut Leftovers,
    ) -> Result<JobReport, Fault> {
        let fail = |error: StepError| {
            let tag = Tag::Exec(job.id);
            tracing::error!(%tag, "a step could not be carried out: {}", chain(&error));
            error.fault()
        };
        if cancel.is_cancelled() {
            return Ok(JobReport::cancelled());
        }
        let language = self.languages.get(&job.language).ok_or(Fault::LanguageGone)?;
        let program = language.plan(&job.source);
        let block = self.ids.take().ok_or(StepError::Without("free block of ids")).map_err(fail)?;
        let ids = Ids { root: block.root(), job: block.job() };
        left.block = Some(block);
        let first = job.compile.as_ref().or_else(|| job.runs.first().map(|run| &run.limits));
        let room = first.map(|limits| (limits.tmp, limits.tmp_inodes)).ok_or(Fault::Prepare)?;
        let workdir = Workdir::new(&self.stage, &job.id.to_string(), room, ids.job, &program.files)
            .map_err(|e| fail(e.into()))?;
        let root = left.root.insert(self.stage.root(&language.image).map_err(|e| fail(WorkdirError::from(e).into()))?);
        let mut here = Here {
            sandbox: self,
            job,
            cancel,
            live,
            rootfs: root.path(),
            ids,
            workdir: left.workdir.insert(workdir),
            remains: &mut left.steps,
        };

        let mut report = JobReport { outcome: Outcome::Ran, compile: None, runs: Vec::new() };
        if let (Some(limits), Some(plan)) = (&job.compile, &program.compile) {
            let step = here.step(plan, limits, &[], StepKind::Compile).await.map_err(fail)?;
            let compiled = step.verdict == Verdict::Ok;
            report.compile = Some(step);
            if !compiled {
                report.outcome = Outcome::CompileFailed;
                return Ok(report);
            }
        }
        for run in &job.runs {
            report.runs.push(here.step(&program.run, &run.limits, &run.stdin, StepKind::Run).await.map_err(fail)?);
        }
        Ok(report)
    }
}

/// One job under way.
struct Here<'a> {
    sandbox: &'a Sandbox,
    job: &'a Job,
    cancel: &'a CancellationToken,
    live: Option<Live<'a>>,
    rootfs: &'a Path,
    ids: Ids,
    workdir: &'a mut Workdir,
    remains: &'a mut Vec<Remains>,
}

impl Here<'_> {
    async fn step(
        &mut self,
        plan: &StepPlan,
        limits: &Limits,
        stdin: &[u8],
        kind: StepKind,
    ) -> Result<StepReport, StepError> {
        let sandbox = self.sandbox;
        let profile = sandbox.profiles.get(&plan.profile).ok_or(StepError::Without("seccomp profile"))?;
        let name = format!("c{}", sandbox.launched.fetch_add(1, Ordering::Relaxed));
        let dir = self.workdir.bundle()?;
        let at = Surroundings {
            runtime: &sandbox.runtime,
            reaper: &sandbox.reaper,
            delegation: &sandbox.delegation,
            name: &name,
            dir: &dir,
            kind,
            stdin,
            streams: self.job.streams,
            cancel: self.cancel,
        };
        let plan = Plan {
            argv: &plan.argv,
            env: &plan.env,
            cwd: &plan.cwd,
            limits,
            seccomp: profile.to_oci()?,
            rootfs: self.rootfs,
            code: &self.workdir.code(),
            code_writable: kind == StepKind::Compile,
            ids: self.ids,
            cgroup: None,
        };
        // A compiler's words belong to the report; what is passed on as it comes is what the program prints.
        let live = if kind == StepKind::Compile { None } else { self.live };
        step::run(&at, plan, live, self.remains).await
    }
}
