//! Commands, one file each. Parses arguments, makes one call into the library, prints. The only room that writes to the
//! terminal.

mod bundle;
mod carry;
mod config;
mod doctor;
mod images;
mod import;
mod launch;
mod one;
mod progress;
mod run;
mod seccomp;
mod serve;
mod setup;
mod token;
mod told;
mod trace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::language::{Language, Languages};

/// Runs code from strangers, each step in a rootless OCI container of its own.
#[derive(Debug, Parser)]
#[command(name = "casemate", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set the machine up, then serve
    Up(launch::Weakness),
    /// Look what the machine lacks and mend it: packages, ids, cgroups, images
    Setup,
    /// Serve HTTP on a machine that is set up
    Serve(launch::Weakness),
    /// Run one file through the sandbox, without the server
    Run(run::Arguments),
    /// Build, import, list, verify and remove the images that jobs run in
    Image(images::Arguments),
    /// Show the config.json that a job of a language gets here, in words, or against Docker's
    Bundle(bundle::Arguments),
    /// Print the settings that are in force, and where each came from
    Config,
    /// Look whether the service can work here: everything is tried, and what is missing has its remedy
    Doctor(doctor::Arguments),
    /// Look into the filters of system calls
    Seccomp(seccomp::Arguments),
    /// Make tokens for clients
    Token(token::Arguments),
}

/// Parses the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Up(weakness) => match setup::run(weakness) {
            ExitCode::SUCCESS => serve::run(weakness, true),
            failed => failed,
        },
        Command::Setup => setup::run(launch::Weakness::default()),
        Command::Serve(weakness) => serve::run(weakness, false),
        Command::Run(arguments) => run::run(&arguments),
        Command::Image(arguments) => setup::images(&arguments),
        Command::Bundle(arguments) => bundle::run(&arguments),
        Command::Config => config::run(),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Seccomp(arguments) => seccomp::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
    }
}

/// The language of this name, or the names that there are.
fn named<'a>(languages: &'a Languages, name: &str) -> Result<&'a Language, String> {
    let known = || languages.names().collect::<Vec<_>>().join(", ");
    languages.get(name).ok_or_else(|| format!("language {name:?} is unknown; known are {}", known()))
}
