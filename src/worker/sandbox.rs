//! Runs whole jobs: a directory, a block of ids, the compile step and the runs, and what is left afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::artefact::{Found, collect};
use super::blueprint::Blueprint;
use super::cache::{self, Cache, Compiled};
use super::capture::{Live, Stream};
use super::collect::{CollectBounds, Tmp};
use super::error::StepError;
use super::filters::Filters;
use super::launch::Waiting;
use super::remains::Remains;
use super::reserve::{Bounds, Busy, Reserve};
use super::runs::TestBounds;
use super::step::{self, Handover};
use super::trace::Watch;
use super::workdir::{CodeFile, Workdir};
use crate::cgroup::Delegation;
use crate::config::StepPatches;
use crate::host::ids::IdBlocks;
use crate::host::rlimits;
use crate::host::stage::Stage;
use crate::language::{Language, Languages, Program, StepPlan};
use crate::metrics::Work;
use crate::model::{
    About, Bytes, Fault, Job, JobId, JobReport, Limits, Outcome, StepKind, StepReport, Streams, Verdict, Watched,
};
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
    /// The `RLIMIT_CORE` of every job, in bytes.
    pub core: u64,
    /// How many containers there were, for their names.
    pub launched: AtomicU64,
    /// Containers made ahead, and what was compiled before.
    pub stock: Stock,
    /// Bounds of a job with tests.
    pub tests: TestBounds,
    /// Bounds of the files that are given back.
    pub collect: CollectBounds,
}

/// What makes jobs quick: containers made ahead, and what was compiled before.
#[derive(Debug)]
pub struct Stock {
    pub(super) reserve: Reserve,
    pub(super) cache: Arc<Cache>,
    pub(super) counts: Work,
    pub(super) filters: Filters,
    /// The digest of each image, by its name: part of what a compilation depends on.
    images: BTreeMap<String, String>,
}

impl Stock {
    /// Shelves for every language under the limits of the settings, and a cache of `cache` bytes.
    #[must_use]
    pub fn new(
        languages: &Languages,
        patches: &BTreeMap<String, StepPatches>,
        images: BTreeMap<String, String>,
        bounds: Bounds,
        cache: Bytes,
    ) -> Self {
        let unchanged = StepPatches::default();
        let kinds = languages.iter().flat_map(|language| {
            let patches = patches.get(&language.name).unwrap_or(&unchanged);
            Blueprint::usual(language, &patches.compile, &patches.run)
        });
        let counts = Work::default();
        Self {
            reserve: Reserve::new(kinds.collect(), bounds),
            cache: Arc::new(Cache::new(cache, counts.clone())),
            counts,
            filters: Filters::default(),
            images,
        }
    }
}

/// What is left of a job once its report is known.
#[derive(Debug, Default)]
pub struct Leftovers {
    pub(super) containers: Vec<Remains>,
    /// Of tests before the last.
    pub(super) behind: JoinSet<()>,
    /// Until the report is with the ledger the job is under way, and nothing is made ahead in its way.
    busy: Option<Busy>,
}

impl Leftovers {
    /// Deletes all of it.
    pub async fn clear(mut self) {
        drop(self.busy.take());
        for remains in self.containers.drain(..) {
            remains.clear().await;
        }
        while self.behind.join_next().await.is_some() {}
    }

    /// Has it deleted while the job goes on; waits only where more than `most` are being deleted already.
    pub(super) async fn clear_behind(&mut self, most: usize) {
        for remains in self.containers.drain(..) {
            self.behind.spawn(remains.clear().in_current_span());
        }
        while self.behind.len() > most {
            self.behind.join_next().await;
        }
    }
}

impl Sandbox {
    /// Runs `job` to its end. Never fails: a failure of ours is a report too, logged here with its cause.
    pub async fn execute(
        self: &Arc<Self>,
        job: &Job,
        cancel: &CancellationToken,
        live: Live<'_>,
    ) -> (JobReport, Leftovers) {
        let mut leftovers = Leftovers::default();
        let steps = usize::from(job.compile.is_some()) + job.runs.len();
        tracing::info!(tag = %Tag::Exec(job.id), "{}: steps to carry out, each in a container: {steps}", job.language);
        leftovers.busy = Some(self.stock.reserve.busy());
        let mut here = Here { sandbox: self, job, cancel, live, leftovers: &mut leftovers, began: Instant::now() };
        // What took place before a fault is told all the same.
        let about = Some(About::of(job));
        let mut report = JobReport { outcome: Outcome::Ran, compile: None, runs: Vec::new(), about };
        report.outcome = here.steps(&mut report).await.unwrap_or_else(Outcome::Faulted);
        (report, leftovers)
    }

    /// A container that waited for such a step, or else one made now.
    pub(super) async fn supply(self: &Arc<Self>, order: &Order) -> Result<Waiting, StepError> {
        // With 0 only the pattern keeps a crash from starting something outside, and somebody may change that.
        if self.core == 0 {
            rlimits::core_limit()?;
        }
        let Order { blueprint, shelved, warm, job } = order;
        if let Some(waiting) = shelved.then(|| self.stock.reserve.take(blueprint, *warm)).flatten() {
            self.stock.counts.hits.inc();
            tracing::debug!(tag = %Tag::Exec(*job), "{:?}: a container waited for it", blueprint.kind);
            return Ok(waiting);
        }
        self.stock.counts.misses.inc();
        self.launch(blueprint).await
    }

    /// Another try at what could not be removed.
    pub(super) fn tidy(&self) {
        match self.delegation.tidy() {
            (0, _) => {}
            (gone, left) => tracing::info!("cgroups that stayed behind: {gone} removed now, {left} still there"),
        }
    }

    /// Keeps containers ready for jobs to come until `stop`, then clears them away.
    pub async fn keep_ready(self: &Arc<Self>, stop: &CancellationToken) {
        let mut fillers = JoinSet::new();
        for _ in 0..self.stock.reserve.fillers() {
            let (own, stop) = (Arc::clone(self), stop.clone());
            fillers.spawn(async move { own.stock.reserve.fill(&own, &stop).await });
        }
        while fillers.join_next().await.is_some() {}
        self.stock.reserve.clear().await;
    }
}

/// Whose steps are carried out: the program's or its checker's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    pub(super) language: &'a Language,
    /// How the output of its runs is captured.
    pub(super) streams: Streams,
    /// Whether its runs have variables that a container made ahead has not.
    pub(super) own_env: bool,
    /// What is kept of its system calls.
    pub(super) watched: Watched,
}

/// The container that a step needs.
#[derive(Debug)]
pub(super) struct Order {
    /// As it is made where none waits.
    blueprint: Arc<Blueprint>,
    /// Whether one will do that waits for any job.
    shelved: bool,
    /// Whether the job can be told to one in which the interpreter runs already.
    warm: bool,
    job: JobId,
}

/// One job under way.
pub(super) struct Here<'a> {
    pub(super) sandbox: &'a Arc<Sandbox>,
    pub(super) job: &'a Job,
    pub(super) cancel: &'a CancellationToken,
    pub(super) live: Live<'a>,
    pub(super) leftovers: &'a mut Leftovers,
    pub(super) began: Instant,
}

impl Here<'_> {
    /// Carries them out, puts into the report what became of each, and tells how the job as a whole ended.
    async fn steps(&mut self, report: &mut JobReport) -> Result<Outcome, Fault> {
        let job = self.job;
        let fail = |error: StepError| {
            let tag = Tag::Exec(job.id);
            tracing::error!(%tag, "a step could not be carried out: {}", chain(&error));
            error.fault()
        };
        if self.cancel.is_cancelled() {
            return Ok(Outcome::Cancelled);
        }
        let language = self.sandbox.languages.get(&job.language).ok_or(Fault::LanguageGone)?;
        if let Some(about) = &mut report.about {
            about.runtime = Some(self.sandbox.runtime.version.clone());
            about.image = Some(language.image.clone());
            about.image_digest = Some(self.sandbox.stock.images.get(&language.image).cloned().unwrap_or_default());
        }
        let Job { source, project, invocation, .. } = job;
        let own_env = !invocation.env.is_empty();
        let subject = Subject { language, streams: job.streams, own_env, watched: job.watched };
        let program = language.plan(Program { source, project: project.as_ref(), invocation });
        let sources = program.files.into_iter().map(|(name, bytes)| CodeFile::source(name, bytes));
        let mut files: Arc<[CodeFile]> = sources.collect();

        if let (Some(limits), Some(plan)) = (&job.compile, &program.compile) {
            let compiled = self.compile(subject, plan, limits, &files, self.live).await.map_err(fail)?;
            let well = compiled.report.verdict == Verdict::Ok;
            report.compile = Some(compiled.report);
            if !well {
                return Ok(Outcome::CompileFailed);
            }
            files = compiled.files;
        }
        self.runs(subject, &program.run, &files, report).await.map_err(fail)
    }

    /// Compiles, unless the very same was compiled before.
    pub(super) async fn compile(
        &mut self,
        subject: Subject<'_>,
        plan: &StepPlan,
        limits: &Limits,
        files: &Arc<[CodeFile]>,
        live: Live<'_>,
    ) -> Result<Compiled, StepError> {
        let stock = &self.sandbox.stock;
        // Of a compilation that does not take place there is nothing to see.
        let watched = !subject.watched.of(StepKind::Compile).is_nothing();
        let image = stock.images.get(&subject.language.image).map_or("", String::as_str);
        let on = format!("{image} {plan:?} {limits:?}");
        let sources = files.iter().flat_map(|file| [file.path.as_os_str().as_encoded_bytes(), &file.bytes[..]]);
        let key = cache::key([on.as_bytes()].into_iter().chain(sources));
        if let Some(compiled) = if watched { None } else { stock.cache.get(key).await } {
            tracing::info!(tag = %Tag::Exec(self.job.id), "the same was compiled before");
            if let Some(feed) = live.kept {
                feed.begin(StepKind::Compile);
                feed.print(Stream::Out, &compiled.report.evidence.output.stdout);
                feed.end();
            }
            return Ok(compiled);
        }
        let handover = Handover::of(plan, files);
        // A compiler's words belong to the report; what is passed on as it comes is what the program prints.
        let live = Live { told: None, ..live };
        let (mut report, _) = self.step(subject, StepKind::Compile, limits, &handover, live).await?;
        if report.verdict != Verdict::Ok {
            return Ok(Compiled { report, files: Arc::clone(files) });
        }
        let code =
            self.leftovers.containers.last().and_then(|remains| remains.workdir.as_ref()).and_then(Workdir::code);
        let code = code.ok_or(StepError::Without("directory"))?;
        let room = limits.tmp.0 + files.iter().map(|file| file.bytes.len() as u64).sum::<u64>();
        let files = match tokio::task::spawn_blocking(move || collect(&code, room)).await {
            Ok(Ok(Found::Files(files))) => files.into(),
            Ok(Ok(Found::TooMuch)) => {
                // Only a sparse file can be longer than the file system that it lies in.
                report.verdict = Verdict::OutputLimit;
                Vec::new().into()
            }
            Ok(Err(error)) => return Err(StepError::Output(error)),
            Err(error) => return Err(StepError::Output(std::io::Error::other(error))),
        };
        let compiled = Compiled { report, files };
        if compiled.report.verdict == Verdict::Ok && !watched {
            stock.cache.put(key, compiled.clone()).await;
        }
        Ok(compiled)
    }

    /// One step, in a container that waited for it or else in one made now.
    pub(super) async fn step(
        &mut self,
        subject: Subject<'_>,
        kind: StepKind,
        limits: &Limits,
        handover: &Handover<'_>,
        live: Live<'_>,
    ) -> Result<(StepReport, Option<Tmp>), StepError> {
        let order = self.order(subject, kind, limits, handover)?;
        let waiting = self.sandbox.supply(&order).await?;
        self.carry_out(subject, waiting, kind, handover, live).await
    }

    /// What the container has to be like in which a step is carried out.
    pub(super) fn order(
        &self,
        subject: Subject<'_>,
        kind: StepKind,
        limits: &Limits,
        handover: &Handover<'_>,
    ) -> Result<Order, StepError> {
        let Subject { language, streams, own_env, watched } = subject;
        // A compiler's words are kept in their order; so what one route has compiled serves the others.
        let streams = if kind == StepKind::Compile { Streams::Merged } else { streams };
        let blueprint = Blueprint::of(language, kind, limits, streams, false);
        let mut blueprint = blueprint.ok_or(StepError::Without("command"))?;
        handover.env.clone_into(&mut blueprint.ahead.env);
        let blueprint = if handover.files.is_empty() { blueprint.without_files() } else { blueprint };
        // A container that waits has its environment already; nor can be told apart what a program that waits has done.
        let of_its_own = kind == StepKind::Run && own_env || !watched.of(kind).is_nothing();
        Ok(Order {
            blueprint: Arc::new(blueprint),
            shelved: !of_its_own,
            warm: handover.told.is_some(),
            job: self.job.id,
        })
    }

    /// One step, in this container.
    pub(super) async fn carry_out(
        &mut self,
        subject: Subject<'_>,
        mut waiting: Waiting,
        kind: StepKind,
        handover: &Handover<'_>,
        live: Live<'_>,
    ) -> Result<(StepReport, Option<Tmp>), StepError> {
        let sandbox = self.sandbox;
        let watch = Watch::begin(sandbox, &mut waiting, subject.watched.of(kind)).await?;
        // While nothing of the job's has run in it.
        let tmp = if kind == StepKind::Run && !self.job.collect.is_empty() { Some(waiting.tmp()) } else { None };
        if let Some(feed) = live.kept {
            feed.begin(kind);
        }
        let (mut result, remains) = step::run(waiting, handover, self.cancel, live).await;
        let calls = watch.end(remains.container.as_ref()).await;
        self.leftovers.containers.push(remains);
        sandbox.stock.ran(&subject.language.name, kind, result.as_ref().ok());
        let calls = calls?;
        if let Ok(step) = &mut result {
            step.evidence.calls = calls;
        }
        Ok((result?, tmp.transpose()?))
    }
}
