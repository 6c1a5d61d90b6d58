//! `casemate doctor`: looks at everything that the service needs, tries it, and says what mends what is missing.

use std::error::Error;
use std::io::{Read, Write};
use std::process::ExitCode;

use clap::Args;

use super::carry::carry;
use super::launch::{Inside, Launch, LaunchError, Weakness};
use crate::doctor;
use crate::host::provision::{CGROUP, Delegated, Finding, Problem, Standing};
use crate::server::Definitions;
use crate::telemetry::chain;

/// How to look and what to print.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only read, and start no namespace and no container
    #[arg(long)]
    quick: bool,
    /// As JSON: healthy, and findings with name, standing (ok, note, missing), problem (a word that stays), meaning and mend
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    weakness: Weakness,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    super::told::ended(examine(arguments))
}

fn examine(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let launch = Launch::read(arguments.weakness)?;
    let definitions = launch.definitions()?;
    let mut findings = doctor::look(&launch.settings, &definitions, (&launch.wanted, &launch.who))?;
    let standing = |name: &str| findings.iter().find(|finding| finding.name == name).map(|finding| finding.standing);
    let limited = standing(CGROUP) == Some(Standing::Ok);
    if !arguments.quick {
        // Not before it is known that systemd would give one: this program starts anew in it.
        let scope = if limited { launch.ensure_scope().err() } else { None };
        findings = match scope {
            Some(error) => [findings, vec![told(&error)]].concat(),
            None => tried(&launch, definitions, findings, limited)?,
        };
    }
    let findings = super::told::as_typed(&findings);
    let mut out = std::io::stdout().lock();
    if arguments.json {
        writeln!(out, "{:#}", doctor::to_json(&findings))?;
    } else {
        out.write_all(doctor::text(&findings).as_bytes())?;
    }
    Ok(if doctor::healthy(&findings) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The trials, in a child; what was read comes back with what they settled.
fn tried(
    launch: &Launch,
    definitions: Definitions,
    read: Vec<Finding>,
    limited: bool,
) -> Result<Vec<Finding>, Box<dyn Error>> {
    let delegated = match launch.cgroup_for_trial(limited) {
        Ok(delegated) => delegated,
        Err(error) => {
            let outer = told_of(doctor::outer_filter());
            return Ok(untried(&error, read.into_iter().chain(outer).collect()));
        }
    };
    let (mut from, mut to) = std::io::pipe()?;
    let status = carry(|| {
        let (mut found, ended) = trial(launch, definitions, read.clone(), (limited, delegated));
        if let Some(status) = ended {
            return status;
        }
        // Twice the same would be said of what reading found already.
        found.dedup();
        // Whoever would read it is gone, then.
        u8::from(to.write_all(doctor::encode(&found).as_bytes()).is_err())
    })?;
    drop(to);
    let mut text = String::new();
    from.read_to_string(&mut text)?;
    Ok(doctor::decode(&text).unwrap_or_else(|| {
        let meaning = format!("the trial ended with {status} and said nothing");
        let mend = "run it again as `casemate serve`, whose log says more";
        [read, vec![Finding::missing(Problem::TrialLost, "namespaces", meaning, mend)]].concat()
    }))
}

/// What was found; or, in the process that stayed outside, the exit status to leave with.
fn trial(
    launch: &Launch,
    definitions: Definitions,
    read: Vec<Finding>,
    (limited, delegated): (bool, Delegated),
) -> (Vec<Finding>, Option<u8>) {
    // Before the service has a filter of its own.
    let outer = doctor::outer_filter();
    match launch.enter_for_trial(delegated) {
        Ok(Inside::Ended(_)) => (Vec::new(), Some(0)),
        Ok(Inside::Serve(delegated)) => {
            let mut found = doctor::namespaces(read);
            found.extend(told_of(outer));
            let others = found.iter().all(|one| one.standing != Standing::Missing || one.name == CGROUP);
            let allowed = limited || launch.wanted.without_cgroup;
            if others && allowed {
                found.extend(doctor::container(&launch.settings, definitions, &delegated));
            } else {
                found.push(Finding::advice(
                    Problem::Untried,
                    "container",
                    "none was tried: something is missing",
                    "mend that, then ask again",
                ));
            }
            (found, None)
        }
        Err(error) => {
            let mut found = read;
            found.extend(told_of(outer));
            (untried(&error, found), None)
        }
    }
}

/// What was found, and why no more could be tried.
fn untried(error: &LaunchError, mut found: Vec<Finding>) -> Vec<Finding> {
    // Unless reading has said so already.
    let same = |one: &Finding| one.standing == Standing::Missing && Some(&*one.name) == error.finding();
    if !found.iter().any(same) {
        found.push(told(error));
    }
    found
}

/// What an outer filter refuses, if it could be found out.
fn told_of(outer: std::io::Result<Option<Finding>>) -> Option<Finding> {
    outer.unwrap_or_else(|error| {
        let meaning = format!("cannot be asked: {error}");
        Some(Finding::advice(Problem::OuterFilter, "outer filter", meaning, "read on: the trials below decide"))
    })
}

fn told(error: &LaunchError) -> Finding {
    match error {
        LaunchError::Enter(error) => doctor::not_entered(error),
        LaunchError::Delegate(error) => doctor::not_delegated(error),
        other => Finding::missing(Problem::NotEntered, "namespaces", chain(other), "casemate setup"),
    }
}
