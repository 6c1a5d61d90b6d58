//! How a report shows in `output`: a function of values, one line for each row of the contract.
//!
//! Where the contract is silent: processor time used up is `cpu time limit of N seconds exceeded`; a compile step that
//! ended otherwise than by an exit status says how in the words of a run, except that times name the compilation.

use std::borrow::Cow;

use super::encode;
use super::printed::{Printed, Step, Stream};
use super::reply::Part;
use crate::model::{Fault, JobReport, Outcome, StepReport, Submission, Verdict, WaitStatus, WallTime};
use crate::report::cpu_time_is_up;

/// The whole of `output` for a submission: words of ours around what a step printed.
#[derive(Debug, Default)]
pub struct Output {
    /// Comes first.
    pub before: Cow<'static, str>,
    /// Comes last.
    pub after: Cow<'static, str>,
    /// Whose streams stand between them.
    step: Option<Step>,
}

impl Output {
    /// What the report says; empty until there is one.
    pub fn of(report: Option<&JobReport>) -> Self {
        report.map(Self::ended).unwrap_or_default()
    }

    fn ended(report: &JobReport) -> Self {
        match &report.outcome {
            Outcome::Faulted(fault) => Self::internal(fault),
            Outcome::Cancelled => Self { after: Cow::Borrowed("\ncancelled"), ..Self::default() },
            Outcome::CompileFailed => match &report.compile {
                None => Self::internal(&Fault::NoEvidence),
                Some(step) if step.verdict == Verdict::Cancelled => {
                    Self { after: Cow::Borrowed("\ncancelled"), step: Some(Step::Compile), ..Self::default() }
                }
                Some(step) => Self {
                    before: Cow::Borrowed("Compilation error:\n"),
                    after: compile_end(step).into(),
                    step: Some(Step::Compile),
                },
            },
            Outcome::NoChecker(_) => {
                Self { before: "Internal error: the checker does not compile".into(), ..Self::default() }
            }
            Outcome::OutOfTime(wall) if report.first_failed().is_none() => Self {
                after: format!("\nexecution timed out after {wall} seconds").into(),
                step: report.runs.first().map(|_| Step::Run(0)),
                ..Self::default()
            },
            // The routes give every job one run; of several, the first that failed is what a client needs to see.
            Outcome::Ran | Outcome::OutOfTime(_) => {
                let failed = report.first_failed().unwrap_or(0);
                match report.runs.get(failed) {
                    None => Self::internal(&Fault::NoEvidence),
                    Some(run) => {
                        Self { after: end(run, "execution").into(), step: Some(Step::Run(failed)), ..Self::default() }
                    }
                }
            }
        }
    }

    fn internal(fault: &Fault) -> Self {
        Self { before: format!("Internal error: {fault}").into(), ..Self::default() }
    }

    /// Bytes that were printed, as far as `output` has them. To be called with the submission whose report this was made
    /// from.
    pub fn size(&self, submission: &Submission) -> usize {
        self.printed().map(|printed| printed.of(submission).len()).sum()
    }

    /// Where what was printed stands, in the order of `output`.
    fn printed(&self) -> impl Iterator<Item = Printed> {
        self.step.into_iter().flat_map(|step| [Stream::Out, Stream::Err].map(|stream| Printed { step, stream }))
    }

    /// The whole between what stands before the inside of its string and behind it.
    pub fn parts(&self, mut head: Vec<u8>, tail: &[u8]) -> Vec<Part> {
        encode::append(&mut head, self.before.as_bytes());
        let mut end = Vec::new();
        encode::append(&mut end, self.after.as_bytes());
        end.extend_from_slice(tail);
        let printed = self.printed().map(Part::Text);
        std::iter::once(Part::Json(head)).chain(printed).chain([Part::Json(end)]).collect()
    }
}

fn compile_end(step: &StepReport) -> String {
    // A compiler says in its own words what it met; its exit status adds nothing, whatever the reason.
    match (step.verdict, step.evidence.wait) {
        (Verdict::CompileError(_), _) | (Verdict::ProcessLimit, Some(WaitStatus::Exited(_))) => String::new(),
        _ => end(step, "compilation"),
    }
}

fn end(step: &StepReport, what: &str) -> String {
    match step.verdict {
        Verdict::Ok => String::new(),
        Verdict::ExitStatus(status) | Verdict::CompileError(status) => format!("\nexit status {status}"),
        Verdict::Signal(signal) => by_signal(signal),
        // The contract knows no words for these: they read as what the program's own parent would have seen.
        Verdict::ProcessLimit | Verdict::FileLimit | Verdict::Seccomp => as_waited_for(step),
        Verdict::CpuLimit if of_one_process(step) => as_waited_for(step),
        Verdict::MemoryLimit => "\nexit status 137".to_owned(),
        Verdict::TimeLimit => format!("\n{what} timed out after {} seconds", step.limits.wall),
        Verdict::CpuLimit => {
            format!("\ncpu time limit of {} seconds exceeded", WallTime(step.limits.cpu_time.0 / 1000))
        }
        Verdict::OutputLimit => format!("\noutput limit of {} bytes exceeded", step.limits.output),
        Verdict::WrongAnswer => "\nwrong answer".to_owned(),
        Verdict::CheckerFailed => "\nInternal error: the checker failed".to_owned(),
        Verdict::Cancelled => "\ncancelled".to_owned(),
    }
}

/// SIGXCPU ended the program, and the step as a whole had processor time left.
fn of_one_process(step: &StepReport) -> bool {
    matches!(step.evidence.wait, Some(WaitStatus::Signaled(_))) && !cpu_time_is_up(&step.evidence, &step.limits)
}

fn as_waited_for(step: &StepReport) -> String {
    match step.evidence.wait {
        Some(WaitStatus::Exited(status)) => format!("\nexit status {status}"),
        Some(WaitStatus::Signaled(signal)) => by_signal(signal),
        None => String::new(),
    }
}

fn by_signal(signal: u8) -> String {
    format!("\nexit status {}", 128 + u16::from(signal))
}

#[cfg(test)]
mod tests {
    use super::super::printed::kept;
    use super::super::text::lossy;
    use super::*;
    use crate::model::{Bytes, Captured, CpuTime, Enforcement, Evidence, Inodes, Limits, OpenFiles, Pids, Stop};

    fn output(report: &JobReport) -> String {
        let output = Output::of(Some(report));
        let step = output.step.and_then(|step| step.of(report));
        let printed = step.map(|step| [kept(step, Stream::Out), kept(step, Stream::Err)].concat());
        format!("{}{}{}", output.before, lossy(&printed.unwrap_or_default()), output.after)
    }

    fn step(verdict: Verdict, stdout: &[u8]) -> StepReport {
        let output = Captured { stdout: stdout.to_vec(), ..Captured::default() };
        let limits = Limits {
            memory: Bytes::mib(100),
            cpu_share: None,
            cpu_time: CpuTime::seconds(20),
            wall: WallTime(10_500),
            pids: Pids(64),
            open_files: OpenFiles(64),
            stack: Bytes::mib(8),
            file_size: Bytes::mib(64),
            output: Bytes(5),
            tmp: Bytes::mib(64),
            tmp_inodes: Inodes(4096),
        };
        let evidence = Evidence { output, ..Evidence::default() };
        StepReport { verdict, evidence, limits, enforcement: Enforcement::CgroupV2 }
    }

    fn seen(verdict: Verdict, evidence: &Evidence) -> StepReport {
        let step = step(verdict, b"x: no");
        let evidence = Evidence { output: step.evidence.output, ..evidence.clone() };
        StepReport { evidence, ..step }
    }

    fn waited(wait: WaitStatus) -> Evidence {
        Evidence { wait: Some(wait), ..Evidence::default() }
    }

    /// What a finer verdict must not change.
    #[test]
    fn limits_without_words_in_the_contract_read_as_the_exit_status() {
        let (exited, signaled) = (WaitStatus::Exited, WaitStatus::Signaled);
        let spent = Evidence { cpu_time: Some(CpuTime::seconds(20)), ..waited(signaled(24)) };
        let stopped = Evidence { stop: Some(Stop::CpuTime), ..Evidence::default() };
        // The verdict, what was seen, the end for a run, and for a compile step where it differs.
        let table = [
            (Verdict::ProcessLimit, waited(exited(1)), "\nexit status 1", Some("")),
            (Verdict::ProcessLimit, waited(signaled(6)), "\nexit status 134", None),
            (Verdict::FileLimit, waited(signaled(25)), "\nexit status 153", None),
            (Verdict::Seccomp, waited(signaled(31)), "\nexit status 159", None),
            (Verdict::CpuLimit, waited(signaled(24)), "\nexit status 152", None),
            (Verdict::CpuLimit, spent, "\ncpu time limit of 20 seconds exceeded", None),
            (Verdict::CpuLimit, stopped, "\ncpu time limit of 20 seconds exceeded", None),
        ];
        for (verdict, evidence, run, compile) in table {
            let step = seen(verdict, &evidence);
            let ran = JobReport { outcome: Outcome::Ran, compile: None, runs: vec![step.clone()], about: None };
            // The limit of output is 5 bytes.
            assert_eq!(output(&ran), format!("x: no{run}"), "{step:?}");
            let compile = compile.unwrap_or(run);
            let failed =
                JobReport { outcome: Outcome::CompileFailed, compile: Some(step.clone()), runs: vec![], about: None };
            assert_eq!(output(&failed), format!("Compilation error:\nx: no{compile}"), "{step:?}");
        }
    }

    #[test]
    fn every_ending_of_a_run() {
        let table: &[(Verdict, &[u8], &str)] = &[
            (Verdict::Ok, b" hi\n\n", " hi\n\n"),
            (Verdict::Ok, b"", ""),
            (Verdict::Ok, b"a\0\xff\xe2", "a\0\u{fffd}\u{fffd}"),
            (Verdict::ExitStatus(7), b"", "\nexit status 7"),
            (Verdict::ExitStatus(1), b"hi\n", "hi\n\nexit status 1"),
            (Verdict::Signal(11), b"hi", "hi\nexit status 139"),
            (Verdict::Signal(9), b"", "\nexit status 137"),
            (Verdict::Signal(8), b"", "\nexit status 136"),
            (Verdict::Signal(6), b"", "\nexit status 134"),
            (Verdict::Signal(13), b"", "\nexit status 141"),
            (Verdict::Signal(15), b"", "\nexit status 143"),
            (Verdict::Signal(14), b"", "\nexit status 142"),
            (Verdict::Signal(255), b"", "\nexit status 383"),
            (Verdict::MemoryLimit, b"hi", "hi\nexit status 137"),
            (Verdict::TimeLimit, b"hi", "hi\nexecution timed out after 10.5 seconds"),
            (Verdict::CpuLimit, b"hi", "hi\ncpu time limit of 20 seconds exceeded"),
            (Verdict::OutputLimit, b"12345678", "12345\noutput limit of 5 bytes exceeded"),
            (Verdict::Cancelled, b"hi", "hi\ncancelled"),
        ];
        for (verdict, stdout, expected) in table {
            let report =
                JobReport { outcome: Outcome::Ran, compile: None, runs: vec![step(*verdict, stdout)], about: None };
            assert_eq!(output(&report), *expected, "{verdict:?}");
        }
    }

    #[test]
    fn every_ending_of_a_compile_step() {
        let table: &[(Verdict, &str)] = &[
            (Verdict::CompileError(1), "Compilation error:\nx: no"),
            (Verdict::TimeLimit, "Compilation error:\nx: no\ncompilation timed out after 10.5 seconds"),
            (Verdict::MemoryLimit, "Compilation error:\nx: no\nexit status 137"),
            (Verdict::Signal(11), "Compilation error:\nx: no\nexit status 139"),
            (Verdict::CpuLimit, "Compilation error:\nx: no\ncpu time limit of 20 seconds exceeded"),
            (Verdict::OutputLimit, "Compilation error:\nx: no\noutput limit of 5 bytes exceeded"),
            (Verdict::Cancelled, "x: no\ncancelled"),
        ];
        for (verdict, expected) in table {
            let compile = Some(step(*verdict, b"x: no"));
            let report = JobReport { outcome: Outcome::CompileFailed, compile, runs: vec![], about: None };
            assert_eq!(output(&report), *expected, "{verdict:?}");
        }
    }

    #[test]
    fn faults_and_jobs_that_never_ran() {
        assert_eq!(output(&JobReport::cancelled()), "\ncancelled");
        assert_eq!(output(&JobReport::faulted(Fault::Runtime)), "Internal error: the container runtime failed");
        let empty = JobReport { outcome: Outcome::Ran, compile: None, runs: vec![], about: None };
        assert_eq!(output(&empty), "Internal error: the sandbox ended without a report");
    }

    #[test]
    fn of_several_runs_the_first_failed_one_is_shown() {
        let runs =
            vec![step(Verdict::Ok, b"a"), step(Verdict::ExitStatus(3), b"b"), step(Verdict::ExitStatus(4), b"c")];
        assert_eq!(output(&JobReport { outcome: Outcome::Ran, compile: None, runs, about: None }), "b\nexit status 3");
    }
}
