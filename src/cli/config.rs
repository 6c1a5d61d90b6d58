//! `casemate config`: the settings that are in force, and where each came from.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use super::launch::{Launch, Weakness};
use crate::config::{in_force, shown};
use crate::model::Limits;

pub(super) fn run() -> ExitCode {
    super::told::ended(show())
}

fn show() -> Result<ExitCode, Box<dyn Error>> {
    let launch = Launch::read(Weakness::default())?;
    let languages = launch.definitions()?.languages;
    let steps = languages.iter().flat_map(|language| {
        let name = language.name.as_str();
        let compile = language.compile_limits().map(|limits| (name, "compile", limits));
        compile.into_iter().chain([(name, "run", language.run_limits())])
    });
    let steps: Vec<(&str, &str, &Limits)> = steps.collect();
    let text = shown(&launch.loaded, &in_force(&launch.loaded, steps.into_iter()));
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
