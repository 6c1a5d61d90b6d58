//! `casemate seccomp`: the filters in words, asked, compared and checked, which needs no service and changes nothing; and a
//! program held against them (`trace.rs`).

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::launch::{Launch, Weakness};
use crate::language::Languages;
use crate::seccomp::{
    Call, DOCKER_DEFAULT, Policy, Profiles, Said, check, compare, docker_default, explain, list, number_of,
    read_foreign, show,
};

/// Looks into the filters of system calls.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every profile: what for, how much it lets through, which languages use it
    List,
    /// What every profile, and Docker's default, says of one system call
    Explain {
        /// By name, or by number on this machine
        syscall: String,
    },
    /// One profile by group, each rule with its reason
    Show {
        /// Its name
        profile: String,
        /// As the runtime reads it, in JSON
        #[arg(long)]
        oci: bool,
    },
    /// What one filter lets through and another does not, and the reverse
    Diff {
        /// A profile, docker-default, or a file: of OCI's or Docker's form, or a config.json
        first: String,
        /// The same
        second: String,
    },
    /// Look at a profile that you wrote: mistakes, and what it opens
    Check {
        /// A file as in the settings directory's seccomp/
        file: PathBuf,
    },
    /// Run a program as a job, and tell which system calls it used and which were refused
    Trace(super::trace::Arguments),
    /// Watch the system calls of what a process starts; the service calls this itself
    #[command(hide = true)]
    WatchCalls {
        /// Write all calls, not only those that a filter may have refused
        #[arg(long)]
        all: bool,
        /// The process
        pid: i32,
    },
    /// What becomes of one call: the first word is allowed, EPERM, ENOSYS; of a foreign filter another action, or undecided
    Simulate {
        /// A profile, docker-default, or a file
        profile: String,
        /// By name, or by number on this machine
        syscall: String,
        /// Up to six arguments, decimal, hexadecimal after 0x, or negative; 0 for those that are left out
        #[arg(allow_negative_numbers = true, num_args = 0..=6)]
        arguments: Vec<String>,
    },
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    super::told::ended(carry_out(arguments))
}

fn carry_out(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    match &arguments.command {
        Command::Trace(arguments) => return super::trace::run(arguments),
        Command::WatchCalls { all, pid } => return Ok(super::trace::watch(*pid, *all)),
        _ => {}
    }
    let launch = Launch::read(Weakness::default())?;
    let mut out = std::io::stdout().lock();
    if let Command::Check { file } = &arguments.command {
        // Even where what is in the settings directory has mistakes: the file may be one of those.
        let found = check(file, launch.overrides());
        out.write_all(found.text(file).as_bytes())?;
        return Ok(if found.mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let definitions = launch.definitions()?;
    let profiles = &definitions.profiles;
    match &arguments.command {
        Command::List => out.write_all(list(profiles, &users(&definitions.languages)).as_bytes())?,
        Command::Explain { syscall } => out.write_all(explain(profiles, &Call::of(syscall)?)?.as_bytes())?,
        Command::Show { profile, oci } => {
            let found = profiles.get(profile).ok_or_else(|| unknown(profiles, profile))?;
            if *oci {
                writeln!(out, "{}", serde_json::to_string_pretty(&found.to_oci()?)?)?;
            } else {
                out.write_all(show(profile, found).as_bytes())?;
            }
        }
        Command::Diff { first, second } => {
            let difference = compare(&policy(profiles, first)?, &policy(profiles, second)?);
            out.write_all(difference.text().as_bytes())?;
        }
        Command::Simulate { profile, syscall, arguments } => {
            let (policy, call) = (policy(profiles, profile)?, Call::of(syscall)?);
            if call.number.is_none() {
                return Err(format!("{syscall} is no system call of this machine; no filter is asked about it").into());
            }
            let mut args = [0; 6];
            for (place, word) in args.iter_mut().zip(arguments) {
                *place = number_of(word)
                    .ok_or_else(|| format!("argument {word:?} is no number of 64 bits: write 10, 0xa or -1"))?;
            }
            let Said { answer, why } = policy.answer(call.name, args);
            writeln!(out, "{answer}: {why}")?;
        }
        Command::Check { .. } | Command::Trace(_) | Command::WatchCalls { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Pairs of a profile's name and a step's.
fn users(languages: &Languages) -> Vec<(String, String)> {
    let steps = languages.iter().flat_map(|language| {
        let compile = language.compile_ahead().map(|ahead| (ahead.profile, format!("{} compile", language.name)));
        compile.into_iter().chain([(language.run_ahead().profile, format!("{} run", language.name))])
    });
    steps.collect()
}

fn unknown(profiles: &Profiles, name: &str) -> String {
    format!("there is no profile {name:?}; the profiles are: {}", profiles.names().collect::<Vec<_>>().join(", "))
}

/// What a command may name: a profile of ours first, then Docker's, then a file.
fn policy(profiles: &Profiles, name: &str) -> Result<Policy, Box<dyn Error>> {
    if let Some(profile) = profiles.get(name) {
        return Ok(Policy::of(name, profile));
    }
    if name == DOCKER_DEFAULT {
        return Ok(docker_default()?);
    }
    let path = Path::new(name);
    if path.exists() {
        return Ok(read_foreign(path)?);
    }
    Err(format!("{}, {DOCKER_DEFAULT}; and there is no such file", unknown(profiles, name)).into())
}
