//! The runs of a job: one after the other, each in a container of its own and held against what is expected of it.
//!
//! What a run printed is compared as it comes. Of what all of them print together only so much is kept, so that many tests
//! with much output take no more memory than one.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::capture::{Live, Stream};
use super::collect::Tmp;
use super::error::StepError;
use super::sandbox::Here;
use super::step::Handover;
use super::workdir::CodeFile;
use crate::compare::Comparison;
use crate::language::{Language, Program, StepPlan};
use crate::model::{Bytes, Invocation, Job, JobReport, Outcome, Run, Several, StepKind, StepReport, Verdict, WallTime};
use crate::report::held_against;

/// Bounds of a job with tests.
#[derive(Clone, Copy, Debug)]
pub struct TestBounds {
    /// What is kept of the output of all tests together.
    pub output: Bytes,
    /// From the start of work; after it no further test begins.
    pub wall: Duration,
}

/// Containers that are cleared away while the next test runs. More would be in its way.
const BEHIND: usize = 2;

impl Here<'_> {
    /// Carries them out, and puts what became of them into the report.
    pub(super) async fn runs(
        &mut self,
        language: &Language,
        plan: &StepPlan,
        files: &[CodeFile],
        report: &mut JobReport,
    ) -> Result<(), StepError> {
        let (job, bounds) = (self.job, self.sandbox.tests);
        let mut room = job.several.map_or(u64::MAX, |_| bounds.output.0);
        let mut collected = self.sandbox.collect;
        for (number, run) in job.runs.iter().enumerate() {
            if self.cancel.is_cancelled() {
                report.outcome = Outcome::Cancelled;
                return Ok(());
            }
            if job.several.is_some() && self.began.elapsed() >= bounds.wall {
                report.outcome = Outcome::OutOfTime(WallTime::from_duration(bounds.wall));
                return Ok(());
            }
            let own = run.test.args.as_deref().map(|args| with_args(language, job, args));
            let plan = own.as_ref().unwrap_or(plan);
            let handover = Handover { stdin: &run.stdin, keep: room, ..Handover::of(plan, files) };
            let (step, tmp) = self.run(run, &handover).await?;
            let beside = report.about.as_mut().and_then(|about| about.runs.get_mut(number));
            if let (Some(tmp), Some(beside)) = (tmp, beside) {
                beside.files = tmp.collect(&job.collect, collected).await;
                let bytes = beside.files.iter().map(|file| file.bytes.len() as u64).sum();
                collected.all = Bytes(collected.all.0.saturating_sub(bytes));
            }
            let output = &step.evidence.output;
            room = room.saturating_sub((output.stdout.len() + output.stderr.len()) as u64);
            let accepted = step.verdict == Verdict::Ok;
            report.runs.push(step);
            match job.several {
                Some(Several { stop_on_failure: true }) if !accepted => return Ok(()),
                Some(_) => self.leftovers.clear_behind(BEHIND).await,
                None => {}
            }
        }
        Ok(())
    }

    /// One of them.
    async fn run(&mut self, run: &Run, handover: &Handover<'_>) -> Result<(StepReport, Option<Tmp>), StepError> {
        let Some(expected) = &run.test.expected else {
            return self.step(StepKind::Run, &run.limits, handover, self.live).await;
        };
        let (comparison, live) = (Mutex::new(Comparison::with(expected)), self.live);
        let seen = |stream: Stream, bytes: &[u8]| {
            if stream == Stream::Out {
                comparison.lock().unwrap_or_else(PoisonError::into_inner).feed(bytes);
            }
            if let Some(tell) = live.told {
                tell(stream, bytes);
            }
        };
        let live = Live { told: Some(&seen), ..live };
        let (step, tmp) = self.step(StepKind::Run, &run.limits, handover, live).await?;
        let same = comparison.into_inner().unwrap_or_else(PoisonError::into_inner).same();
        Ok((StepReport { verdict: held_against(step.verdict, same), ..step }, tmp))
    }
}

/// The command with these arguments in place of the job's.
fn with_args(language: &Language, job: &Job, args: &[String]) -> StepPlan {
    let invocation = Invocation { args: args.to_vec(), env: job.invocation.env.clone() };
    let Job { source, project, .. } = job;
    language.plan(Program { source, project: project.as_ref(), invocation: &invocation }).run
}
