//! `casemate run FILE`: one file through the same sandbox, without the server.

// What the program prints is what this command prints.
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::launch::{Launch, Weakness};
use super::one::{self, Carried, Done};
use super::told::tell;
use crate::http::document;
use crate::language::Languages;
use crate::model::{Job, JobReport, Outcome, State, StepReport, Submission, Verdict, WaitStatus, Watched};
use crate::report::fatal;
use crate::seccomp::refusals;
use crate::telemetry::{self, LogFormat};
use crate::worker::{Live, Stream};

/// Exit statuses for what is no ending of the program's own. 124 is that of timeout(1).
const TIMED_OUT: u8 = 124;
const INTERNAL: u8 = 125;
const NOT_COMPILED: u8 = 1;

/// Runs one file through the sandbox; its output and exit status become ours.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The program
    file: PathBuf,
    /// Its language, where the file's name does not tell
    #[arg(long, short)]
    language: Option<String>,
    /// Print the report in place of the program's output: the JSON of GET /v1/submissions/{id}
    #[arg(long)]
    json: bool,
    /// Name the system calls that the program was refused; it is watched for that, which makes each of its calls slower
    #[arg(long)]
    diagnose: bool,
    #[command(flatten)]
    weakness: Weakness,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match carry_out(arguments) {
        Ok(status) => status,
        Err(error) => {
            tell(error.as_ref());
            ExitCode::from(INTERNAL)
        }
    }
}

fn carry_out(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let launch = Launch::read(arguments.weakness)?;
    telemetry::init("warn", LogFormat::Text);
    let definitions = launch.definitions()?;
    let language = name_of(&definitions.languages, arguments)?;
    let watched = if arguments.diagnose { Watched::Refused } else { Watched::Nothing };
    let job = one::job(&launch, &definitions, &language, &arguments.file, watched)?;
    let json = arguments.json;
    let live = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Out => pass_on(&mut io::stdout().lock(), bytes),
        Stream::Err => pass_on(&mut io::stderr().lock(), bytes),
    };
    let live = Live { told: (!json).then_some(&live), kept: None };
    let done = match one::carry_out(&launch, definitions, &job, live)? {
        Carried::Outside(status) => return Ok(status),
        Carried::Done(done) => *done,
    };
    let status = status(&done.report);
    if json {
        pass_on(&mut io::stdout().lock(), &document(submission(&job, done))?);
    } else {
        explain(&done.report);
    }
    Ok(ExitCode::from(status))
}

/// A reader that is gone is no reason to stop the program: it would not notice outside either, until its next write.
fn pass_on(to: &mut impl Write, bytes: &[u8]) {
    let _ = to.write_all(bytes).and_then(|()| to.flush());
}

fn name_of(languages: &Languages, arguments: &Arguments) -> Result<String, String> {
    let known = || languages.names().collect::<Vec<_>>().join(", ");
    let Some(name) = &arguments.language else {
        let extension = arguments.file.extension().and_then(|e| e.to_str()).unwrap_or_default();
        return languages
            .iter()
            .find(|language| language.extensions.iter().any(|e| e == extension))
            .map(|language| language.name.clone())
            .ok_or_else(|| {
                let name = Path::new(&arguments.file).display();
                format!("the name {name} does not tell the language; add --language with one of {}", known())
            });
    };
    super::named(languages, name).map(|language| language.name.clone())
}

/// The exit status, as a shell would have it.
fn status(report: &JobReport) -> u8 {
    match (&report.outcome, report.runs.first()) {
        (Outcome::Ran, Some(step)) => match step.verdict {
            Verdict::Ok => 0,
            Verdict::ExitStatus(status) | Verdict::CompileError(status) => status,
            Verdict::Signal(signal) => signal.saturating_add(128),
            Verdict::MemoryLimit => 137,
            Verdict::TimeLimit => TIMED_OUT,
            // As SIGXCPU and SIGXFSZ have it.
            Verdict::CpuLimit => 152,
            Verdict::OutputLimit | Verdict::FileLimit => 153,
            Verdict::Seccomp => 159,
            Verdict::ProcessLimit => match step.evidence.wait {
                Some(WaitStatus::Exited(status)) => status,
                Some(WaitStatus::Signaled(signal)) => signal.saturating_add(128),
                None => INTERNAL,
            },
            // Nothing is expected of it.
            Verdict::WrongAnswer | Verdict::CheckerFailed => INTERNAL,
            Verdict::Cancelled => 130,
        },
        (Outcome::CompileFailed, _) => NOT_COMPILED,
        (Outcome::Cancelled, _) => 130,
        _ => INTERNAL,
    }
}

/// What the program's own output does not say.
fn explain(report: &JobReport) {
    for calls in report.runs.iter().filter_map(|step| step.evidence.calls.as_ref()) {
        let refused = refusals(calls);
        for line in &refused {
            eprintln!("casemate: refused: {line}");
        }
        match (calls.unseen, calls.truncated(), refused.is_empty()) {
            (true, ..) => eprintln!("casemate: nobody could look what was refused"),
            (false, true, _) => eprintln!("casemate: there may have been other refused calls"),
            (false, false, true) => eprintln!("casemate: no system call was refused"),
            (false, false, false) => {}
        }
    }
    match (&report.outcome, report.runs.first(), &report.compile) {
        (Outcome::CompileFailed, _, Some(step)) => {
            pass_on(&mut io::stderr().lock(), &step.evidence.output.stdout);
            pass_on(&mut io::stderr().lock(), &step.evidence.output.stderr);
            eprintln!("casemate: not compiled: {}", words(step));
        }
        (Outcome::Faulted(fault), ..) => eprintln!("casemate: internal error: {fault}"),
        (Outcome::Ran, Some(step), _) if !matches!(step.verdict, Verdict::Ok | Verdict::ExitStatus(_)) => {
            eprintln!("casemate: {}", words(step));
        }
        _ => {}
    }
}

fn words(step: &StepReport) -> String {
    let limits = &step.limits;
    match step.verdict {
        Verdict::Ok => "exit status 0".into(),
        Verdict::ExitStatus(status) | Verdict::CompileError(status) => format!("exit status {status}"),
        Verdict::Signal(signal) => format!("ended by signal {signal}"),
        Verdict::MemoryLimit => format!("more memory than {} bytes", limits.memory),
        Verdict::CpuLimit => format!("more processor time than {} s", limits.cpu_time.0 / 1_000_000),
        Verdict::TimeLimit => format!("ran longer than {} s", limits.wall),
        Verdict::OutputLimit => format!("printed more than {} bytes", limits.output),
        Verdict::ProcessLimit => format!("failed after it was refused a process or thread beyond {}", limits.pids.0),
        Verdict::FileLimit => format!("wrote a file of more than {} bytes", limits.file_size),
        Verdict::Seccomp => match step.evidence.calls.as_ref().map(fatal) {
            Some(Some(call)) => format!("made a system call that ends a program (SIGSYS): {}", call.name),
            Some(None) => "ended by SIGSYS, and no system call was seen that it was for".into(),
            None => "made a system call that ends a program (SIGSYS); `--diagnose` tells which".into(),
        },
        Verdict::WrongAnswer => "printed something else than was expected".into(),
        Verdict::CheckerFailed => "could not be checked".into(),
        Verdict::Cancelled => "cancelled".into(),
    }
}

/// As a service would have it to which it was handed in when the work began.
fn submission(job: &Job, done: Done) -> Submission {
    let Done { report, began, ended } = done;
    Submission {
        id: job.id,
        owner: None,
        language: job.language.clone(),
        state: if report.succeeded() { State::Completed } else { State::Failed },
        queued_at: began,
        started_at: Some(began),
        completed_at: Some(ended),
        report: Some(report),
    }
}
