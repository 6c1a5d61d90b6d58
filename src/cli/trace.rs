//! `casemate seccomp trace LANGUAGE FILE`: what a program asks of the kernel, and what it is refused. The program runs as in
//! every job, under the same filter; it is only watched.

// What was seen is what this command prints.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use nix::unistd::Pid;
use serde_json::json;

use super::launch::{Launch, Weakness};
use super::one::{self, Carried};
use crate::model::{CpuTime, JobReport, Outcome, StepReport, WallTime, Watched};
use crate::seccomp::{Traced, addition, as_json, as_text};
use crate::sys::trace;
use crate::telemetry::{self, LogFormat};
use crate::worker::Live;

/// A program that stops twice in every call gets so many times the time.
const SLOWER: u64 = 10;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The language
    language: String,
    /// The program; what it reads is our standard input
    file: PathBuf,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Print an addition of this name that allows what looked unknown, as a file for the settings directory's seccomp/; the
    /// report goes to standard error. With --json it is a part of the report
    #[arg(long, value_name = "NAME", value_parser = name)]
    addition: Option<String>,
    #[command(flatten)]
    weakness: Weakness,
}

/// What may be a file's name and a part of a profile's.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= 64 && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("write up to 64 letters, digits, - and _".to_owned())
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let launch = Launch::read(arguments.weakness)?;
    telemetry::init("warn", LogFormat::Text);
    let definitions = launch.definitions()?;
    if let Some(name) = &arguments.addition
        && let Some((taken, _)) =
            definitions.profiles.iter().find(|(known, _)| known.split('+').any(|part| part == name))
    {
        return Err(format!("--addition {name}: there is a profile {taken} already; take another name").into());
    }
    let language = super::named(&definitions.languages, &arguments.language)?.clone();
    let mut job = one::job(&launch, &definitions, &language.name, &arguments.file, Watched::All)?;
    for limits in job.compile.iter_mut().chain(job.runs.iter_mut().map(|run| &mut run.limits)) {
        limits.wall = WallTime(limits.wall.0.saturating_mul(SLOWER));
        limits.cpu_time = CpuTime(limits.cpu_time.0.saturating_mul(SLOWER));
    }
    let profiles = definitions.profiles.clone();
    let report = match one::carry_out(&launch, definitions, &job, Live::default())? {
        Carried::Outside(status) => return Ok(status),
        Carried::Done(done) => done.report,
    };
    if let Outcome::Faulted(fault) = &report.outcome {
        return Err(format!("internal error: {fault}").into());
    }
    let under = [language.compile_ahead().map(|ahead| ahead.profile), Some(language.run_ahead().profile)];
    let steps = steps(&under, &report);
    let added = arguments.addition.as_ref().map(|name| addition(name, &steps, &profiles).map(|added| (name, added)));
    let added =
        added.transpose().map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    let mut out = io::stdout().lock();
    if arguments.json {
        let mut whole = json!({"language": language.name, "verdict": report.verdict(), "steps": as_json(&steps)});
        if let Some((_, added)) = &added {
            let profiles = added.profiles.iter().map(|(base, new)| json!({"of": base, "new": new}));
            whole["addition"] =
                json!({"file": added.file, "profiles": profiles.collect::<Vec<_>>(), "stays_refused": added.stays});
        }
        writeln!(out, "{whole:#}")?;
    } else if let Some((name, added)) = &added {
        eprint!("{}{}", as_text(&steps), added.text(name, &launch.place(), &language.name));
        if let Some(file) = &added.file {
            writeln!(out, "{file:#}")?;
        }
    } else {
        out.write_all(as_text(&steps).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The steps that took place, with what was seen of them.
fn steps<'a>([compile, run]: &'a [Option<String>; 2], report: &'a JobReport) -> Vec<Traced<'a>> {
    let traced = |step: &'static str, profile: &'a str, done: &'a StepReport| {
        let calls = done.evidence.calls.as_ref()?;
        Some(Traced { step, profile, verdict: done.verdict.as_str(), calls })
    };
    let compiled = report.compile.iter().filter_map(|done| traced("compile", compile.as_ref()?, done));
    compiled.chain(report.runs.iter().filter_map(|done| traced("run", run.as_ref()?, done))).collect()
}

/// The process that watches: see `worker::WATCH`. Whoever started it reads its complaints.
pub(super) fn watch(pid: i32, all: bool) -> ExitCode {
    let mut out = io::BufWriter::with_capacity(64 << 10, io::stdout().lock());
    match trace::watch(Pid::from_raw(pid), all, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("system calls cannot be watched: {error}");
            ExitCode::FAILURE
        }
    }
}
