//! Commands, one file each. Parses arguments, makes one call into the library, prints. The only room that writes to the
//! terminal.

mod images;
mod progress;

use std::path::PathBuf;
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
    /// Build and check the images that jobs run in.
    Image {
        /// The directory of images.
        #[arg(long)]
        dir: PathBuf,
        /// A directory of recipes that replace or add to those built in.
        #[arg(long)]
        recipes: Option<PathBuf>,
        #[command(flatten)]
        arguments: images::Arguments,
    },
}

/// Parses the command line and does what it says.
#[must_use]
#[allow(clippy::print_stderr)] // The terminal is this room's.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Image { dir, recipes, arguments } => {
            let recipes = match crate::image::Recipes::load(recipes.as_deref()) {
                Ok(recipes) => recipes,
                Err(errors) => {
                    errors.iter().for_each(|error| eprintln!("{error}"));
                    return ExitCode::FAILURE;
                }
            };
            let done = crate::image::Images::open(&dir)
                .map_err(images::Failure::from)
                .and_then(|images| images::run(&arguments, &images, &recipes));
            done.unwrap_or_else(|error| {
                eprintln!("{error}");
                ExitCode::FAILURE
            })
        }
    }
}
