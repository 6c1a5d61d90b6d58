//! Who submitted what, and what came of it, in the log. Of a program its hash is told and nothing else.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::model::{Job, JobId, JobReport, Owner, State, Submission};
use crate::report::bounds;
use crate::telemetry::{self, NOBODY, Tag};

/// One that was accepted.
pub(super) struct Accepted {
    id: JobId,
    language: String,
    /// The hash of its program.
    program: String,
}

impl Accepted {
    /// What is told of a job once it is stored.
    pub(super) fn of(job: &Job) -> Self {
        Self { id: job.id, language: job.language.clone(), program: program(job) }
    }

    /// Puts down who submitted it.
    pub(super) fn audit(&self, owner: Option<&Owner>) {
        let Self { id, language, program } = self;
        telemetry::job(*id, language, owner).in_scope(|| {
            info!(tag = %Tag::Audit, "{id} by {} program sha256:{program}", owner.map_or(NOBODY, Owner::as_str));
        });
    }

    /// Says where it stands.
    pub(super) fn queued(&self, owner: Option<&Owner>, state: State) {
        let Self { id, language, .. } = self;
        let span = telemetry::job(*id, language, owner);
        span.in_scope(|| info!(tag = %Tag::Queue, "{id} {} {language}", state.as_str()));
    }
}

/// Puts down how a submission ended, and which limits came into play; or that the store did not take its ending.
pub(super) fn ended(ended: &Submission, stored: bool) {
    let Submission { id, owner, language, state, report, .. } = ended;
    telemetry::job(*id, language, owner.as_ref()).in_scope(|| match report {
        Some(report) if stored => {
            let (owner, verdict) = (owner.as_ref().map_or(NOBODY, Owner::as_str), report.verdict());
            info!(tag = %Tag::Result(*id), "{}", state.as_str());
            info!(tag = %Tag::Audit, "{id} by {owner} ended: {verdict}, limits that fired: {}", fired(report));
        }
        _ => warn!(tag = %Tag::Result(*id), "its ending is not stored: it runs again after the next start"),
    });
}

/// Each limit that came into play, with the number of steps in which it did, those of a checker among them.
fn fired(report: &JobReport) -> String {
    let checkers = report.about.iter().flat_map(|about| &about.runs).filter_map(|run| run.checker.as_ref());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for step in report.compile.iter().chain(&report.runs).chain(checkers) {
        for name in bounds(step).fired() {
            *counts.entry(name).or_default() += 1;
        }
    }
    let each =
        counts.iter().map(|(name, steps)| format!("{name} ({steps} {})", if *steps == 1 { "step" } else { "steps" }));
    let all: Vec<String> = each.collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

/// The SHA-256 of a program: of its text where it is in one piece, else of that of its entry, then path and bytes of each
/// other file, a NUL behind each path.
fn program(job: &Job) -> String {
    let mut hash = Sha256::new_with_prefix(&job.source);
    for file in job.project.iter().flat_map(|project| &project.files) {
        hash.update(&file.path);
        hash.update([0]);
        hash.update(&file.bytes);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Enforcement, Evidence, Outcome, StepReport, Stop, Verdict};
    use crate::service::admit::tests::limits;

    #[test]
    fn limits_that_fired_are_counted_by_steps() {
        let step =
            |verdict, evidence| StepReport { verdict, evidence, limits: limits(1), enforcement: Enforcement::CgroupV2 };
        let well = step(Verdict::Ok, Evidence::default());
        let killed =
            step(Verdict::MemoryLimit, Evidence { oom_kills: Some(1), pids_refused: Some(7), ..Evidence::default() });
        let slow = step(
            Verdict::TimeLimit,
            Evidence { stop: Some(Stop::WallTime), pids_refused: Some(1), ..Evidence::default() },
        );
        let report = |runs: &[&StepReport]| JobReport {
            outcome: Outcome::Ran,
            compile: Some(well.clone()),
            runs: runs.iter().map(|&step| step.clone()).collect(),
            about: None,
        };
        assert_eq!(fired(&report(&[&well, &well])), "none");
        assert_eq!(fired(&report(&[&well, &killed])), "memory_bytes (1 step), processes (1 step)");
        assert_eq!(fired(&report(&[&killed, &slow])), "memory_bytes (1 step), processes (2 steps), wall_ms (1 step)");
        assert_eq!(fired(&JobReport::cancelled()), "none");
    }
}
