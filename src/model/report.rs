//! What is kept of a job that ended.

use serde::{Deserialize, Serialize};

use super::verdict::INTERNAL_ERROR;
use super::{Collected, Enforcement, Evidence, Fault, Job, Limits, Streams, Verdict, WallTime};

/// One step: what was seen, what it means, and what it was allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// How it ended.
    pub verdict: Verdict,
    /// What that was concluded from.
    pub evidence: Evidence,
    /// What it was allowed.
    pub limits: Limits,
    /// Who saw to that. With the rest it says all about each limit: `report::bounds`.
    pub enforcement: Enforcement,
}

/// How the job as a whole ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every run that was to take place did; each has its own verdict.
    Ran,
    /// The compile step did not end with [`Verdict::Ok`]; there are no runs.
    CompileFailed,
    /// Cancelled before a step began; the runs are those before it.
    Cancelled,
    /// The job had had all the time that one may have before a run began; the runs are those before it.
    OutOfTime(WallTime),
    /// The client's checker did not compile; there are no runs.
    NoChecker(Box<StepReport>),
    /// We failed; the program is not to blame.
    Faulted(Fault),
}

/// What a job was carried out with, as far as it was, and what of it is needed to show its report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The OCI runtime, with its version, in its own words; absent where nothing was carried out.
    pub runtime: Option<String>,
    /// The name of the image; absent likewise.
    pub image: Option<String>,
    /// The digest of that image's recipe and content, as `casemate image list` shows it.
    pub image_digest: Option<String>,
    /// How the output of the runs was captured.
    pub streams: Streams,
    /// Whether the client gave tests.
    #[serde(default)]
    pub tests: bool,
    /// Of each run that there was to be, in their order; those that did not take place have no step.
    #[serde(default)]
    pub runs: Vec<Beside>,
}

/// What there is to show of a run beside its step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// The client's name for it.
    pub name: Option<String>,
    /// The files that were asked for.
    #[serde(default)]
    pub files: Vec<Collected>,
    /// What its checker did.
    #[serde(default)]
    pub checker: Option<StepReport>,
}

impl About {
    /// That of a job of which nothing is carried out yet.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        let Job { streams, several, runs, collect, checker, .. } = job;
        let beside = || runs.iter().map(|run| Beside { name: run.test.name.clone(), ..Beside::default() }).collect();
        let runs = if several.is_some() || checker.is_some() || !collect.is_empty() { beside() } else { Vec::new() };
        let (runtime, image, image_digest) = (None, None, None);
        Self { runtime, image, image_digest, streams: *streams, tests: several.is_some(), runs }
    }
}

/// Everything that is kept of an ended job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// How it ended.
    pub outcome: Outcome,
    /// The compile step, where there was one.
    pub compile: Option<StepReport>,
    /// The runs that took place, in order.
    pub runs: Vec<StepReport>,
    /// Absent for a job that no worker had, unless it had tests.
    #[serde(default)]
    pub about: Option<About>,
}

impl JobReport {
    /// A report of our own failure.
    #[must_use]
    pub const fn faulted(fault: Fault) -> Self {
        Self { outcome: Outcome::Faulted(fault), compile: None, runs: Vec::new(), about: None }
    }

    /// A report of a job that was cancelled while it waited.
    #[must_use]
    pub const fn cancelled() -> Self {
        Self { outcome: Outcome::Cancelled, compile: None, runs: Vec::new(), about: None }
    }

    /// The same of this job, of which nothing was carried out: of its tests is told that they were not run.
    #[must_use]
    pub fn before(self, job: &Job) -> Self {
        Self { about: job.several.is_some().then(|| About::of(job)), ..self }
    }

    /// Whether it ended because it was asked to, and not by itself.
    #[must_use]
    pub fn was_cut_off(&self) -> bool {
        let cut = |step: &StepReport| step.verdict == Verdict::Cancelled;
        self.outcome == Outcome::Cancelled || self.compile.iter().chain(&self.runs).any(cut)
    }

    /// The first run that is not accepted.
    #[must_use]
    pub fn first_failed(&self) -> Option<usize> {
        self.runs.iter().position(|run| run.verdict != Verdict::Ok)
    }

    /// One word for how it ended: that of the compile step where this did not succeed, else of the first run that did not.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        let failed = || self.first_failed().and_then(|number| self.runs.get(number)).map(|run| run.verdict);
        match &self.outcome {
            Outcome::Faulted(_) | Outcome::NoChecker(_) => INTERNAL_ERROR,
            Outcome::Cancelled => Verdict::Cancelled.as_str(),
            Outcome::CompileFailed => match self.compile.as_ref().map(|step| step.verdict) {
                None => INTERNAL_ERROR,
                Some(Verdict::Cancelled) => Verdict::Cancelled.as_str(),
                // Its own verdict says how: the compiler's, or a limit.
                Some(_) => "compile_error",
            },
            Outcome::OutOfTime(_) => failed().unwrap_or(Verdict::TimeLimit).as_str(),
            Outcome::Ran if self.runs.is_empty() => INTERNAL_ERROR,
            Outcome::Ran => failed().unwrap_or(Verdict::Ok).as_str(),
        }
    }

    /// Whether the job counts as `completed`: every run exited with 0 within its limits.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.outcome == Outcome::Ran && !self.runs.is_empty() && self.runs.iter().all(|r| r.verdict == Verdict::Ok)
    }
}
