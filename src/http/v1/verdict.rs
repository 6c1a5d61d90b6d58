//! How an ending is told to a client: one word for the whole, the limit behind it, signals by name.

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

/// The word for a step.
pub const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "accepted",
        Verdict::ExitStatus(_) => "exit_status",
        Verdict::CompileError(_) => "compile_error",
        Verdict::Signal(_) => "signal",
        Verdict::MemoryLimit => "memory_limit",
        Verdict::CpuLimit => "cpu_limit",
        Verdict::TimeLimit => "time_limit",
        Verdict::OutputLimit => "output_limit",
        Verdict::ProcessLimit => "process_limit",
        Verdict::FileLimit => "file_limit",
        Verdict::Seccomp => "syscall_denied",
        Verdict::WrongAnswer => "wrong_answer",
        Verdict::CheckerFailed => "internal_error",
        Verdict::Cancelled => "cancelled",
    }
}

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

/// How the whole ended: the compile step where that did not succeed, else the first run that did not.
pub fn ending(report: &JobReport) -> Ending {
    let none = |verdict| Ending { verdict, step: None, error: None };
    let failed = |error| Ending { error: Some(error), ..none("internal_error") };
    let fault = |fault: Fault| failed(fault.to_string());
    match &report.outcome {
        Outcome::Faulted(of) => fault(of.clone()),
        Outcome::Cancelled => none("cancelled"),
        Outcome::CompileFailed => match &report.compile {
            None => fault(Fault::NoEvidence),
            Some(step) => {
                let cancelled = step.verdict == Verdict::Cancelled;
                let verdict = if cancelled { "cancelled" } else { "compile_error" };
                Ending { step: Some(Step::Compile), ..none(verdict) }
            }
        },
        Outcome::NoChecker(step) => {
            failed(format!("the checker does not compile ({}): {}", word(step.verdict), words(step)))
        }
        Outcome::OutOfTime(_) if report.first_failed().is_none() => none(word(Verdict::TimeLimit)),
        Outcome::Ran | Outcome::OutOfTime(_) => {
            let number = report.first_failed().unwrap_or(0);
            let run = report.runs.get(number);
            let error = || {
                let checker = Step::Checker(number)
                    .of(report)
                    .filter(|_| run.is_some_and(|run| run.verdict == Verdict::CheckerFailed))?;
                Some(format!("the checker failed ({}): {}", word(checker.verdict), words(checker)))
            };
            run.map_or_else(
                || fault(Fault::NoEvidence),
                |run| Ending { step: Some(Step::Run(number)), error: error(), ..none(word(run.verdict)) },
            )
        }
    }
}

/// The first of what a step printed, for a line of text.
fn words(step: &StepReport) -> String {
    let said = [kept(step, Stream::Err), kept(step, Stream::Out)].concat();
    String::from_utf8_lossy(&said[..said.len().min(WORDS)]).into_owned()
}

/// A signal as signal(7) has it; by its number where that has no name.
pub fn signal(number: u8) -> String {
    match Signal::try_from(i32::from(number)) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) => format!("SIG{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names() {
        for (number, name) in [(11, "SIGSEGV"), (9, "SIGKILL"), (31, "SIGSYS"), (34, "SIG34")] {
            assert_eq!(signal(number), name);
        }
    }
}
