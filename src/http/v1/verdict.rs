//! How an ending is told to a client: one word for the whole, the limit behind it, signals by name.

use std::ops::RangeInclusive;

use nix::sys::signal::Signal;

use crate::http::printed::{Step, Stream, kept};
use crate::model::{Fault, JobReport, Outcome, StepReport, Verdict};

/// What is told of the words of a checker that failed, in bytes.
const WORDS: usize = 2048;

/// The ending of a submission.
#[derive(Debug, PartialEq, Eq)]
pub struct Ending {
    /// Its word.
    pub verdict: &'static str,
    /// The step that decided it; none where no step did.
    pub step: Option<Step>,
    /// What went wrong on our side, or with the client's checker.
    pub error: Option<String>,
}

/// The word for a test that did not take place.
pub const NOT_RUN: &str = "not_run";

/// The limit that a verdict is about, by its name on the wire.
pub const fn limit(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::MemoryLimit => Some("memory_bytes"),
        Verdict::CpuLimit => Some("cpu_ms"),
        Verdict::TimeLimit => Some("wall_ms"),
        Verdict::OutputLimit => Some("output_bytes"),
        Verdict::ProcessLimit => Some("processes"),
        Verdict::FileLimit => Some("file_bytes"),
        _ => None,
    }
}

/// How the whole ended.
pub fn ending(report: &JobReport) -> Ending {
    let none = || Ending { verdict: report.verdict(), step: None, error: None };
    let failed = |error| Ending { error: Some(error), ..none() };
    match &report.outcome {
        Outcome::Faulted(fault) => failed(fault.to_string()),
        Outcome::Cancelled => none(),
        Outcome::CompileFailed if report.compile.is_none() => failed(Fault::NoEvidence.to_string()),
        Outcome::CompileFailed => Ending { step: Some(Step::Compile), ..none() },
        Outcome::NoChecker(step) => failed(format!("the checker does not compile {}", told(step))),
        Outcome::OutOfTime(_) if report.first_failed().is_none() => none(),
        Outcome::Ran | Outcome::OutOfTime(_) => {
            let number = report.first_failed().unwrap_or(0);
            let Some(run) = report.runs.get(number) else { return failed(Fault::NoEvidence.to_string()) };
            let checker = Step::Checker(number).of(report).filter(|_| run.verdict == Verdict::CheckerFailed);
            let error = checker.map(|checker| format!("the checker failed {}", told(checker)));
            Ending { step: Some(Step::Run(number)), error, ..none() }
        }
    }
}

/// How a checker ended, and the first of what it said.
fn told(checker: &StepReport) -> String {
    format!("({}): {}", checker.verdict.as_str(), words(checker))
}

/// The first of what a step printed, for a line of text.
fn words(step: &StepReport) -> String {
    let said = [kept(step, Stream::Err), kept(step, Stream::Out)].concat();
    String::from_utf8_lossy(&said[..said.len().min(WORDS)]).into_owned()
}

/// The real-time signals that the C library leaves to programs (signal(7)).
const REAL_TIME: RangeInclusive<u8> = 34..=64;

/// A signal as signal(7) and kill(1) have it; by its number where it has no name.
pub fn signal(number: u8) -> String {
    let (first, last) = (*REAL_TIME.start(), *REAL_TIME.end());
    match Signal::try_from(i32::from(number)) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) if number == first => "SIGRTMIN".to_owned(),
        Err(_) if number == last => "SIGRTMAX".to_owned(),
        Err(_) if REAL_TIME.contains(&number) => format!("SIGRTMIN+{}", number - first),
        Err(_) => format!("SIG{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names() {
        for (number, name) in [
            (11, "SIGSEGV"),
            (9, "SIGKILL"),
            (31, "SIGSYS"),
            (32, "SIG32"),
            (34, "SIGRTMIN"),
            (40, "SIGRTMIN+6"),
            (64, "SIGRTMAX"),
            (65, "SIG65"),
        ] {
            assert_eq!(signal(number), name);
        }
    }
}
