//! `casemate setup`: looks, mends what is missing, and says each thing it does; then the images, built by whoever serves.

// The terminal is what this is for; a line that cannot be written is no reason to stop mending.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use super::carry::carry;
use super::images::{self, Arguments};
use super::launch::{Launch, Weakness};
use super::told::{as_called, ended};
use crate::host::provision::{self, Event, Machine, Wanted, Who};
use crate::image::{BuildOptions, Images, Recipes};

/// Sets the machine up for whoever calls it. Progress goes to standard output, what went wrong to standard error.
#[must_use]
pub(super) fn run(weakness: Weakness) -> ExitCode {
    ended(set_up(weakness))
}

/// Carries out `casemate image …` as whoever serves.
#[must_use]
pub(super) fn images(arguments: &Arguments) -> ExitCode {
    ended(Launch::read(Weakness::default()).map_err(Into::into).and_then(|launch| {
        let recipes = launch.definitions()?.recipes;
        let archive = arguments.open()?;
        launch.drop_root()?;
        Ok(images::run(arguments, archive, &Images::open(&launch.settings.images)?, &recipes)?)
    }))
}

fn set_up(weakness: Weakness) -> Result<ExitCode, Box<dyn Error>> {
    let launch = Launch::read(weakness)?;
    let recipes = launch.definitions()?.recipes;
    mend(&launch.wanted, &launch.who)?;
    build_images(&launch, &recipes)
}

/// In a process of its own, for it gives up the privileges that a later step may still need, and starts threads, which
/// the service must not have before it has entered its namespaces.
fn build_images(launch: &Launch, recipes: &Recipes) -> Result<ExitCode, Box<dyn Error>> {
    let status = carry(|| {
        let built = launch.drop_root().map_err(Into::into).and_then(|()| build(launch, recipes));
        u8::from(ended(built.map(|()| ExitCode::SUCCESS)) != ExitCode::SUCCESS)
    })?;
    if status > 128 {
        eprintln!("stopped; the next set-up builds the images that are not finished");
    }
    Ok(ExitCode::from(status))
}

fn build(launch: &Launch, recipes: &Recipes) -> Result<(), Box<dyn Error>> {
    let images = Images::open(&launch.settings.images)?;
    let all: Vec<_> = recipes.iter().collect();
    let mut missing = Vec::new();
    for recipe in all {
        match images.find(recipe)? {
            Some(image) => println!("ok      image {}: {}", image.name, image.digest),
            None => missing.push(recipe),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let options = BuildOptions { mirror: launch.settings.mirror.clone(), ..BuildOptions::default() };
    images.build_all(&missing, &options, &super::progress::Renderer::stderr()).map_err(images::Failure::Build)?;
    Ok(())
}

fn mend(wanted: &Wanted, who: &Who) -> Result<(), Box<dyn Error>> {
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
            let mend = finding.mend.as_deref().map(|mend| format!("; run: {}", as_called(mend))).unwrap_or_default();
            println!("note    {}: {}{mend}", finding.name, finding.meaning);
        }
    };
    provision::setup(&Machine::this(), wanted, who, &elevation, &mut provision::execute, &mut tell)?;
    println!("{}", if done == 0 { "everything is there" } else { "everything but the images is there now" });
    Ok(())
}
