//! The runs of a job: one after the other, each in a container of its own and held against what is expected of it.
//!
//! What a run printed is compared as it comes. Of what all of them print together only so much is kept, so that many tests
//! with much output take no more memory than one.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::ahead::Ahead;
use super::capture::{Live, Stream};
use super::checker::Prepared;
use super::collect::Tmp;
use super::error::StepError;
use super::launch::Waiting;
use super::sandbox::{Here, Subject};
use super::step::Handover;
use super::workdir::CodeFile;
use crate::compare::Comparison;
use crate::language::{Language, Program, StepPlan};
use crate::model::{
    Bytes, Invocation, Job, JobReport, Outcome, Run, Several, StepKind, StepReport, Verdict, WallTime, Watched,
};
use crate::report::{checked, held_against};

/// Bounds of a job with tests.
#[derive(Clone, Copy, Debug)]
pub struct TestBounds {
    /// What is kept of the output of all tests together.
    pub output: Bytes,
    /// From the start of work; after it no further test begins.
    pub wall: Duration,
}

/// Lines of refused calls that are kept of all runs together.
const REFUSED: usize = 1024;

/// Containers that are cleared away while the next tests run. To take one down is mostly waiting for the kernel, which takes
/// longer than a short run.
const BEHIND: usize = 8;

impl Here<'_> {
    /// Carries them out, puts what became of them into the report, and tells how the job as a whole ended.
    pub(super) async fn runs(
        &mut self,
        subject: Subject<'_>,
        plan: &StepPlan,
        files: &[CodeFile],
        report: &mut JobReport,
    ) -> Result<Outcome, StepError> {
        let mut ahead = Ahead::default();
        let done = self.each(subject, plan, files, report, &mut ahead).await;
        ahead.give_back(self.sandbox, self.leftovers);
        done
    }

    async fn each(
        &mut self,
        subject: Subject<'_>,
        plan: &StepPlan,
        files: &[CodeFile],
        report: &mut JobReport,
        ahead: &mut Ahead,
    ) -> Result<Outcome, StepError> {
        let (job, bounds) = (self.job, self.sandbox.tests);
        let mut room = job.several.map_or(u64::MAX, |_| bounds.output.0);
        let mut checker = match &job.checker {
            None => None,
            Some(checker) => match self.prepare(checker).await? {
                Prepared::Ready(ready) => Some(ready),
                Prepared::Broken(step) => {
                    let cancelled = step.verdict == Verdict::Cancelled;
                    return Ok(if cancelled { Outcome::Cancelled } else { Outcome::NoChecker(step) });
                }
            },
        };
        let (mut collected, mut refused) = (self.sandbox.collect, REFUSED);
        for (number, run) in job.runs.iter().enumerate() {
            if self.cancel.is_cancelled() {
                return Ok(Outcome::Cancelled);
            }
            if job.several.is_some() && self.began.elapsed() >= bounds.wall {
                return Ok(Outcome::OutOfTime(WallTime::from_duration(bounds.wall)));
            }
            let own = self.plan(subject, plan, run);
            let handover = Handover { stdin: &run.stdin, keep: room, ..Handover::of(&own, files) };
            let waiting = match ahead.next().await {
                Some(waiting) => waiting,
                None => self.sandbox.supply(&self.order(subject, StepKind::Run, &run.limits, &handover)?).await?,
            };
            while let Some(next) = job.runs.get(number + 1 + ahead.len()).filter(|_| ahead.len() < self.deep()) {
                let plan = self.plan(subject, plan, next);
                let order = self.order(subject, StepKind::Run, &next.limits, &Handover::of(&plan, files))?;
                ahead.place(self.sandbox, order);
            }
            let Done { mut step, tmp, printed } = self.run(subject, waiting, run, &handover).await?;
            let beside = report.about.as_mut().and_then(|about| about.runs.get_mut(number));
            if let (Some(tmp), Some(beside)) = (tmp, beside) {
                beside.files = tmp.collect(&job.collect, collected).await;
                let bytes = beside.files.iter().map(|file| file.bytes.len() as u64).sum();
                collected.all = Bytes(collected.all.0.saturating_sub(bytes));
            }
            // What failed by itself needs no checker.
            if let (Verdict::Ok, Some(printed), Some(ready)) = (step.verdict, printed, &mut checker) {
                let answer = run.test.expected.as_ref().map(|expected| expected.bytes.clone()).unwrap_or_default();
                let judged = self.check(ready, [run.stdin.clone(), printed, answer]).await?;
                step.verdict = checked(judged.verdict);
                if let Some(beside) = report.about.as_mut().and_then(|about| about.runs.get_mut(number)) {
                    beside.checker = Some(judged);
                }
            }
            if let Some(calls) = step.evidence.calls.as_mut().filter(|_| job.watched == Watched::Refused) {
                calls.shorten(refused);
                refused -= calls.calls.len();
            }
            let output = &step.evidence.output;
            room = room.saturating_sub((output.stdout.len() + output.stderr.len()) as u64);
            let accepted = step.verdict == Verdict::Ok;
            report.runs.push(step);
            match job.several {
                Some(Several { stop_on_failure: true }) if !accepted => return Ok(Outcome::Ran),
                Some(_) => self.leftovers.clear_behind(BEHIND).await,
                None => {}
            }
        }
        Ok(Outcome::Ran)
    }

    /// Of how many runs the containers are made ahead. Whoever wants to see all that a program does is in no hurry.
    fn deep(&self) -> usize {
        if self.job.watched.is_nothing() { self.sandbox.stock.reserve.fillers() } else { 0 }
    }

    /// What is run: the job's command, or the same with arguments of the run's own.
    fn plan<'p>(&self, subject: Subject<'_>, plan: &'p StepPlan, run: &Run) -> Cow<'p, StepPlan> {
        let own = run.test.args.as_deref().map(|args| with_args(subject.language, self.job, args));
        own.map_or(Cow::Borrowed(plan), Cow::Owned)
    }

    /// One of them, in this container.
    async fn run(
        &mut self,
        subject: Subject<'_>,
        waiting: Waiting,
        run: &Run,
        handover: &Handover<'_>,
    ) -> Result<Done, StepError> {
        let live = self.live;
        let mut judge = Judge::of(run);
        if let Judge::None = judge {
            let (step, tmp) = self.carry_out(subject, waiting, StepKind::Run, handover, live).await?;
            return Ok(Done { step, tmp, printed: None });
        }
        let shared = Mutex::new(&mut judge);
        let seen = |stream: Stream, bytes: &[u8]| {
            if stream == Stream::Out {
                shared.lock().unwrap_or_else(PoisonError::into_inner).feed(bytes);
            }
            if let Some(tell) = live.told {
                tell(stream, bytes);
            }
        };
        let live = Live { told: Some(&seen), ..live };
        let (step, tmp) = self.carry_out(subject, waiting, StepKind::Run, handover, live).await?;
        Ok(match judge {
            Judge::None => Done { step, tmp, printed: None },
            Judge::Checker(printed) => Done { step, tmp, printed: Some(printed) },
            Judge::Comparison(comparison) => {
                let verdict = held_against(step.verdict, comparison.same());
                Done { step: StepReport { verdict, ..step }, tmp, printed: None }
            }
        })
    }
}

/// A run that is over.
struct Done {
    step: StepReport,
    tmp: Option<Tmp>,
    /// What it printed on standard output within its limit, kept or not, where a checker is to see that.
    printed: Option<Vec<u8>>,
}

/// What becomes of standard output as it comes.
enum Judge<'a> {
    None,
    Comparison(Comparison<'a>),
    Checker(Vec<u8>),
}

impl<'a> Judge<'a> {
    fn of(run: &'a Run) -> Self {
        match &run.test.expected {
            _ if run.test.checked => Self::Checker(Vec::new()),
            Some(expected) => Self::Comparison(Comparison::with(expected)),
            None => Self::None,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Comparison(comparison) => comparison.feed(bytes),
            Self::Checker(printed) => printed.extend_from_slice(bytes),
        }
    }
}

/// The command with these arguments in place of the job's.
fn with_args(language: &Language, job: &Job, args: &[String]) -> StepPlan {
    let invocation = Invocation { args: args.to_vec(), env: job.invocation.env.clone() };
    let Job { source, project, .. } = job;
    language.plan(Program { source, project: project.as_ref(), invocation: &invocation }).run
}
