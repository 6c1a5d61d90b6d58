//! What went wrong, for the person who typed the command: with all its causes, and with commands that can be typed as
//! they stand.

// Standard error is what this is for.
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;

use super::launch::LaunchError;
use crate::doctor::lines;
use crate::host::provision::Finding;
use crate::telemetry::chain;

/// Writes one error to standard error.
pub(super) fn tell(error: &dyn Error) {
    let called = std::env::args().next();
    eprintln!("error: {}", typeable(&chain(error), called.as_deref().unwrap_or_default()));
}

/// A command that stands alone, as it can be typed here.
pub(super) fn as_called(command: &str) -> String {
    let called = std::env::args().next().filter(|called| called.contains('/'));
    match (called, command.strip_prefix("casemate ")) {
        (Some(called), Some(rest)) => format!("{called} {rest}"),
        _ => command.to_owned(),
    }
}

/// Findings with commands that can be typed as they stand.
pub(super) fn as_typed(findings: &[Finding]) -> Vec<Finding> {
    let typed = |one: &Finding| Finding { mend: one.mend.as_deref().map(as_called), ..one.clone() };
    findings.iter().map(typed).collect()
}

/// Writes why the service does not start, and where it did not get as far as its namespaces, what the machine lacks.
pub(super) fn refused(error: &(dyn Error + 'static), missing: &[Finding]) {
    tell(error);
    if error.is::<LaunchError>() && !missing.is_empty() {
        let called = std::env::args().next();
        let text = format!("{}`casemate doctor` looks at all of it", lines(&as_typed(missing)));
        eprintln!("{}", typeable(&text, called.as_deref().unwrap_or_default()));
    }
}

/// The exit status of a command that ended so; an error is told first.
pub(super) fn ended(result: Result<ExitCode, Box<dyn Error>>) -> ExitCode {
    result.unwrap_or_else(|error| {
        // A reader that has seen enough, `head` for one, is no mistake.
        let gone = error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe);
        if !gone {
            tell(error.as_ref());
        }
        ExitCode::FAILURE
    })
}

/// The messages say `casemate setup`; where this program is not found by that name, the name by which it was called
/// stands there.
fn typeable(text: &str, called: &str) -> String {
    if called.contains('/') { text.replace("`casemate ", &format!("`{called} ")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_that_were_typed() {
        let text = "no image: run `casemate setup`, or `casemate image build gcc`; account casemate";
        assert_eq!(typeable(text, "casemate"), text);
        let path = "no image: run `target/release/casemate setup`, or `target/release/casemate image build gcc`; \
                    account casemate";
        assert_eq!(typeable(text, "target/release/casemate"), path);
    }
}
