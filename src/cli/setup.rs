//! `casemate setup`: looks, mends what is missing, and says each thing it does. The images are somebody else's part.

// The terminal is what this is for; a line that cannot be written is no reason to stop mending.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use crate::host::provision::{self, Event, Machine, Wanted, Who};

/// Sets the machine up for whoever calls it. Progress goes to standard output, what went wrong to standard error.
#[must_use]
pub fn run(wanted: &Wanted) -> ExitCode {
    match mend(wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn mend(wanted: &Wanted) -> Result<(), Box<dyn Error>> {
    let who = Who::discover(wanted)?;
    println!("setting up for {} {}", if who.service { "the account" } else { "user" }, who.name);
    let elevation = || provision::elevation(std::io::stdin().is_terminal());
    let mut done = 0_usize;
    let mut tell = |event: Event<'_>| match event {
        Event::Waiting => println!("wait    another set-up is at work"),
        Event::There(finding) => println!("ok      {}: {}", finding.name, finding.meaning),
        Event::Doing(step) => println!("doing   {step}"),
        Event::Done(step) => {
            done += 1;
            println!("done    {step}");
        }
        Event::Advice(finding) => {
            let mend = finding.mend.as_deref().map(|mend| format!("; run: {mend}")).unwrap_or_default();
            println!("note    {}: {}{mend}", finding.name, finding.meaning);
        }
    };
    provision::setup(&Machine::this(), wanted, &who, &elevation, &mut provision::execute, &mut tell)?;
    println!("{}", if done == 0 { "everything is there" } else { "everything is there now" });
    Ok(())
}

/// An error with its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
