//! `casemate bundle`: what a job's container is made of on this machine, without making one.

// The answer goes to standard output; what it leaves open, to standard error.
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::launch::{Launch, Weakness};
use crate::bundle::{Surface, diff, docker_default, explain};
use crate::host::provision::{CgroupLayout, cgroup_layout};
use crate::host::rlimits::{NO_CORE, core_limit};
use crate::host::stage::Stage;
use crate::model::StepKind;
use crate::seccomp::{DOCKER_DEFAULT, Policy};
use crate::worker::{PER_CONTAINER, Previewed, Which, preview};

/// What to show, and of what.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The language
    language: String,
    /// Which step of a job; without it the run
    #[arg(long, value_enum, default_value = "run")]
    step: Step,
    /// The container that is made when its job comes, where none was made ahead for it
    #[arg(long)]
    cold: bool,
    /// The container for a submission of several files
    #[arg(long)]
    files: bool,
    /// Each part in words, with its reason
    #[arg(long, conflicts_with = "diff")]
    explain: bool,
    /// What it leaves open and something else does not, and the reverse: `docker-default`, or a config.json
    #[arg(long, value_name = "docker-default|FILE")]
    diff: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Step {
    Compile,
    Run,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    super::told::ended(show(arguments))
}

fn show(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let launch = Launch::read(Weakness::default())?;
    let definitions = launch.definitions()?;
    let settings = &launch.settings;
    let language = super::named(&definitions.languages, &arguments.language)?;
    let kind = match arguments.step {
        Step::Compile => StepKind::Compile,
        Step::Run => StepKind::Run,
    };
    let patches = settings.limits.get(&language.name).cloned().unwrap_or_default();
    let stage = Stage::place(&[&settings.home, &settings.images])?;
    let v2 = matches!(cgroup_layout()?, CgroupLayout::V2 { .. });
    // Root gives the service what it was itself denied (`host::rlimits`).
    let core = if launch.who.service { NO_CORE } else { core_limit()? };
    let (step, which) = ((language, kind, &patches), Which { warm: !arguments.cold, files: arguments.files });
    let Previewed { spec, limits, profile } = preview(step, which, &definitions.profiles, &stage, (v2, core))?;
    let mut out = std::io::stdout().lock();
    if arguments.explain {
        out.write_all(explain(&spec, &limits).as_bytes())?;
    } else if let Some(other) = &arguments.diff {
        let filter = definitions.profiles.get(&profile).ok_or("the profile is gone")?;
        let ours = Surface::ours(&serde_json::to_value(&spec)?, Policy::of(&profile, filter), &limits);
        let theirs = if other == DOCKER_DEFAULT { docker_default()? } else { Surface::read(Path::new(other))? };
        out.write_all(diff(&ours, &theirs).as_bytes())?;
    } else {
        writeln!(out, "{}", serde_json::to_string_pretty(&spec)?)?;
        for (place, what) in PER_CONTAINER {
            eprintln!("per container: {place}: {what}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
