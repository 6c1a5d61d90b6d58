//! Look, do the first thing that is missing, look again, until nothing is. So every step is seen to have worked, and a
//! set-up that was cut off goes on where it stopped. Says what it does through a callback; prints nothing.

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

use super::command::{CommandError, Elevation};
use super::findings::{CGROUP, Finding, Standing, findings};
use super::machine::{Machine, ReadError};
use super::plan::{Obstacle, plan};
use super::state::look;
use super::step::Step;
use super::who::{Wanted, Who};

/// What happens meanwhile.
#[derive(Debug)]
pub enum Event<'a> {
    /// Another set-up holds the lock.
    Waiting,
    /// Something is there already, found at the first look.
    There(&'a Finding),
    /// A step begins.
    Doing(&'a Step),
    /// It was done.
    Done(&'a Step),
    /// Something to know, at the end.
    Advice(&'a Finding),
}

/// Why the machine is not set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// Looking failed.
    #[error("cannot look at this machine")]
    Look(#[from] ReadError),
    /// The lock could not be taken.
    #[error("cannot lock {path} against another set-up")]
    Lock {
        /// What is locked.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Set-up must not go on.
    #[error(transparent)]
    Obstacle(#[from] Obstacle),
    /// Root's help is needed and cannot be had.
    #[error("only root can do the rest; as root, run these and set up again:\n{}", commands.join("\n"))]
    NeedsRoot {
        /// Lines for a shell.
        commands: Vec<String>,
    },
    /// A command failed.
    #[error("cannot {step}")]
    Command {
        /// What it was for.
        step: Box<Step>,
        /// Why.
        source: CommandError,
    },
    /// Every command succeeded and what they were for is not there.
    #[error("tried to {step}, but it is still missing")]
    Ineffective {
        /// What was tried.
        step: Box<Step>,
    },
    /// Things are missing that set-up leaves to a person.
    #[error("the machine is not ready: {}", describe(missing))]
    Unmended {
        /// What.
        missing: Vec<Finding>,
    },
}

fn describe(missing: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let mend = finding.mend.as_deref().map(|mend| format!(" (to mend it: {mend})")).unwrap_or_default();
        format!("{}: {}{mend}", finding.name, finding.meaning)
    };
    missing.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// The directory that all set-ups of a machine lock. flock(2) needs it only open for reading, which everybody may, and
/// set-up replaces files in it but never the directory itself.
const LOCKED: &str = "/etc";

/// Everything that set-up can mend, and the last look at the rest.
///
/// `elevation` is asked once, and only when root is needed. `execute` runs one step; [`execute`] is the real one.
///
/// # Errors
/// See [`SetupError`].
pub fn setup(
    machine: &Machine,
    wanted: &Wanted,
    who: &Who,
    elevation: &dyn Fn() -> Elevation,
    execute: &mut dyn FnMut(&Step, Elevation) -> Result<(), CommandError>,
    tell: &mut dyn FnMut(Event<'_>),
) -> Result<(), SetupError> {
    let _lock = lock(machine, tell)?;
    let mut state = look(machine, wanted, who)?;
    for finding in findings(&state, who).iter().filter(|finding| finding.standing == Standing::Ok) {
        tell(Event::There(finding));
    }
    let mut asked = None;
    let mut last: Option<Step> = None;
    loop {
        let steps = plan(&state, who)?;
        let Some(step) = steps.first() else { break };
        if last.as_ref() == Some(step) {
            return Err(SetupError::Ineffective { step: Box::new(step.clone()) });
        }
        let means = if step.needs_root() { *asked.get_or_insert_with(elevation) } else { Elevation::Root };
        if means == Elevation::None {
            let commands = steps.iter().filter(|step| step.needs_root()).flat_map(Step::commands);
            return Err(SetupError::NeedsRoot { commands: commands.map(|command| command.shell()).collect() });
        }
        tell(Event::Doing(step));
        execute(step, means).map_err(|source| SetupError::Command { step: Box::new(step.clone()), source })?;
        state = look(machine, wanted, who)?;
        tell(Event::Done(step));
        last = Some(step.clone());
    }
    let dispensable = |finding: &Finding| wanted.without_cgroup && finding.name == CGROUP;
    let (missing, rest): (Vec<_>, Vec<_>) = findings(&state, who)
        .into_iter()
        .partition(|finding| finding.standing == Standing::Missing && !dispensable(finding));
    rest.iter().filter(|finding| finding.standing != Standing::Ok).for_each(|finding| tell(Event::Advice(finding)));
    if missing.is_empty() { Ok(()) } else { Err(SetupError::Unmended { missing }) }
}

/// Runs the commands of a step, as root by `elevation`; a step that does not need root is run as whoever we are.
///
/// # Errors
/// The first command that fails.
pub fn execute(step: &Step, elevation: Elevation) -> Result<(), CommandError> {
    for command in step.commands() {
        let argv = if step.needs_root() { command.elevated(elevation) } else { None };
        command.run(argv.as_deref().unwrap_or(&command.argv))?;
    }
    Ok(())
}

fn lock(machine: &Machine, tell: &mut dyn FnMut(Event<'_>)) -> Result<File, SetupError> {
    let fail = |source| SetupError::Lock { path: LOCKED, source };
    let directory = File::open(machine.path(LOCKED)).map_err(fail)?;
    if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_err() {
        tell(Event::Waiting);
        flock(&directory, FlockOperation::LockExclusive).map_err(|errno| fail(errno.into()))?;
    }
    Ok(directory)
}

#[cfg(test)]
mod tests;
