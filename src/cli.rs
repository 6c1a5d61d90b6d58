//! Commands, one file each. Parses arguments, makes one call into the library, prints. The only room that writes to the
//! terminal.

pub mod setup;

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
enum Command {}

/// Parses the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse().command {}
}
