//! `casemate token`: makes a token for a client. Neither it nor its hash is written anywhere; both are printed once.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::model::{Owner, Token};

/// Makes tokens for clients.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print a new token, and what to put into the file that the setting `tokens` names
    New {
        /// The token's name: 1 to 64 ASCII letters, digits, - and _
        #[arg(value_parser = owner)]
        name: Owner,
    },
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Command::New { name } = &arguments.command;
    super::told::ended(new(name))
}

fn owner(text: &str) -> Result<Owner, &'static str> {
    Owner::named(text).ok_or("give 1 to 64 ASCII letters, digits, - and _")
}

fn new(name: &Owner) -> Result<ExitCode, Box<dyn Error>> {
    let token = Token::random()?;
    let text = format!(
        "{}\n\n# That is the token. It is shown this once: give it to the client. The name is what submissions belong to:\n# whoever gets a token of the same name later sees all that was submitted under it.\n# Into the file of tokens:\n\n[{name}]\nsha256 = \"{}\"\n",
        token.reveal(),
        token.digest().hex()
    );
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
