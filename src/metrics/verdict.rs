//! One word for how a submission ended, as the routes below `/v1/` tell it.

use crate::model::{JobReport, Outcome, Verdict};

/// The word.
#[must_use]
pub fn verdict(report: &JobReport) -> &'static str {
    match &report.outcome {
        Outcome::NoChecker(_) | Outcome::Faulted(_) => "internal_error",
        Outcome::Cancelled => "cancelled",
        Outcome::CompileFailed if report.was_cut_off() => "cancelled",
        Outcome::CompileFailed => "compile_error",
        Outcome::Ran => failed(report).map_or("accepted", word),
        Outcome::OutOfTime(_) => failed(report).map_or("time_limit", word),
    }
}

fn failed(report: &JobReport) -> Option<Verdict> {
    report.first_failed().and_then(|number| report.runs.get(number)).map(|run| run.verdict)
}

const fn word(verdict: Verdict) -> &'static str {
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
