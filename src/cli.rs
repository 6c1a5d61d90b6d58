//! Commands, one file each. Parses arguments, makes one call into the library, prints. The only room that writes to the
//! terminal.

mod carry;
mod images;
mod launch;
mod progress;
mod run;
mod serve;
mod setup;
mod told;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Build, list and verify the images that jobs run in
    Image(images::Arguments),
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
    }
}
