//! `casemate serve`: the service alone, on a machine that is set up.

// A message about a start that failed has no other way to whoever typed the command.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;

use super::launch::{Inside, Launch, Weakness};
use super::told::refused;
use crate::host::provision::Finding;
use crate::server;
use crate::telemetry;

/// Serves until told to stop. `greet` prints how to use the service once it is ready.
pub(super) fn run(weakness: Weakness, greet: bool) -> ExitCode {
    let mut missing = Vec::new();
    match serve(weakness, greet, &mut missing) {
        Ok(status) => status,
        Err(error) => {
            refused(error.as_ref(), &missing);
            ExitCode::FAILURE
        }
    }
}

fn serve(weakness: Weakness, greet: bool, missing: &mut Vec<Finding>) -> Result<ExitCode, Box<dyn Error>> {
    let launch = Launch::read(weakness)?;
    launch.settings.not_anonymous()?;
    // As whoever started us: the account that serves need not be able to read it.
    let tokens = launch.tokens()?;
    telemetry::init(&launch.settings.log, launch.settings.log_format);
    // Before there are namespaces, from within which the machine looks different.
    *missing = launch.missing();
    let definitions = launch.definitions()?;
    let delegated = match launch.enter()? {
        Inside::Ended(status) => return Ok(status),
        Inside::Serve(delegated) => delegated,
    };
    let ready = |addresses: &[SocketAddr]| {
        if let Some(address) = addresses.first().filter(|_| greet) {
            println!("casemate serves at http://{address}; try:\n{}", example(*address));
        }
    };
    server::serve(&launch.settings, definitions, &tokens, &delegated, ready)?;
    Ok(ExitCode::SUCCESS)
}

/// Two lines for a shell: submit, and look at the result.
fn example(address: SocketAddr) -> String {
    let body = r#"{"language":"python","code":"print(6*7)"}"#;
    format!(
        "  curl -s http://{address}/submit -d '{body}'\n  curl -s 'http://{address}/result?id=ID'   # the ID that the first line printed"
    )
}
