//! What went wrong, for the person who typed the command: with all its causes, and with commands that can be typed as
//! they stand.

// Standard error is what this is for.
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;

use super::launch::LaunchError;
use crate::doctor::{lines, mending};
use crate::host::provision::Finding;
use crate::telemetry::chain;

/// Writes one error to standard error.
pub(super) fn tell(error: &dyn Error) {
    let called = std::env::args().next();
    eprintln!("error: {}", typeable(&chain(error), called.as_deref().unwrap_or_default()));
}

/// Commands that stand alone, as they can be typed here.
pub(super) fn as_called(command: &str) -> String {
    let called = std::env::args().next().filter(|called| called.contains('/'));
    let Some(called) = called else { return command.to_owned() };
    let each = command.split("; ").map(|one| match one.strip_prefix("casemate ") {
        Some(rest) => format!("{called} {rest}"),
        None => one.to_owned(),
    });
    each.collect::<Vec<_>>().join("; ")
}

/// Findings with commands that can be typed as they stand.
pub(super) fn as_typed(findings: &[Finding]) -> Vec<Finding> {
    let typed = |one: &Finding| Finding { mend: one.mend.as_deref().map(as_called), ..one.clone() };
    findings.iter().map(typed).collect()
}

/// Writes why the service does not start, and where it did not get as far as its namespaces, what the machine lacks.
pub(super) fn refused(error: &(dyn Error + 'static), missing: &[Finding]) {
    tell(error);
    let Some(launch) = error.downcast_ref::<LaunchError>().filter(|_| !missing.is_empty()) else { return };
    let called = std::env::args().next();
    let text = format!("{}`casemate doctor` looks at all of it", lacking(&chain(error), launch.finding(), missing));
    eprintln!("{}", typeable(&text, called.as_deref().unwrap_or_default()));
}

/// What is missing, below an error. Of the finding that the error is about only what mends it, unless the error has said
/// that too.
fn lacking(said: &str, about: Option<&str>, missing: &[Finding]) -> String {
    let (same, others): (Vec<Finding>, Vec<Finding>) =
        missing.iter().cloned().partition(|one| Some(&*one.name) == about);
    let mends = same.iter().filter_map(|one| one.mend.as_deref());
    let mends = mends.filter(|mend| !said.contains(&format!("`{mend}`")));
    mends.map(|mend| mending(&as_called(mend))).chain([lines(&as_typed(&others))]).collect()
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
    use crate::host::provision::Problem;

    #[test]
    fn what_the_error_is_about_is_not_said_again() {
        let missing = [
            Finding::missing(Problem::CgroupNowhere, "cgroup", "no cgroup file system is mounted", "use a kernel"),
            Finding::missing(Problem::HomeMissing, "home", "/h is not there", "make it"),
        ];
        let home = "missing home: /h is not there\n          to mend it: make it\n";
        let said = "no limit can be set: no cgroup file system is mounted";
        assert_eq!(lacking(said, Some("cgroup"), &missing), format!("          to mend it: use a kernel\n{home}"));
        assert_eq!(lacking(said, Some("home"), &missing[1..]), "          to mend it: make it\n");
        assert_eq!(lacking("it is not there: `make it`", Some("home"), &missing[1..]), "");
        assert_eq!(lacking(said, None, &missing[1..]), home);
    }

    #[test]
    fn commands_are_those_that_were_typed() {
        let text = "no image: run `casemate setup`, or `casemate image build gcc`; account casemate";
        assert_eq!(typeable(text, "casemate"), text);
        let path = "no image: run `target/release/casemate setup`, or `target/release/casemate image build gcc`; \
                    account casemate";
        assert_eq!(typeable(text, "target/release/casemate"), path);
    }
}
