//! `image build`, `image list`, `image verify`.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::progress::{Renderer, mib};
use crate::image::{BuildError, BuildOptions, Image, ImageError, Images, Recipe, Recipes, VerifyError, spdx};

/// Builds and checks the images that jobs run in.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the images that are missing.
    Build {
        /// Which; all without a name.
        names: Vec<String>,
        /// Build also those that are there.
        #[arg(long)]
        rebuild: bool,
        /// The address of the Debian archive; without it mmdebstrap finds one.
        #[arg(long)]
        mirror: Option<String>,
        /// Do not keep the packages' archives for the next build.
        #[arg(long)]
        no_cache: bool,
    },
    /// Show the images that are there, and the recipes that have none.
    List {
        /// The packages of this image instead, as SPDX 2.3 in JSON.
        #[arg(long, value_name = "NAME")]
        sbom: Option<String>,
    },
    /// Read whole images and compare them with what was built.
    Verify {
        /// Which; all that are there without a name.
        names: Vec<String>,
    },
}

/// A command about images failed. What was already told about single images is not told again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there is no recipe \"{name}\"; the recipes are: {known}")]
    UnknownName { name: String, known: String },
    #[error("the image {name} was not built; `image build {name}` builds it")]
    NotBuilt { name: String },
    #[error("{}", list(.0))]
    Build(Vec<BuildError>),
    #[error("{}", list(.0))]
    Verify(Vec<VerifyError>),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("cannot write the answer")]
    Write(#[from] std::io::Error),
}

/// Carries out one command.
///
/// # Errors
/// All that went wrong, each with its causes.
pub(crate) fn run(arguments: &Arguments, images: &Images, recipes: &Recipes) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Command::Build { names, rebuild, mirror, no_cache } => {
            let chosen = choose(names, recipes)?;
            let options = BuildOptions {
                mirror: mirror.clone(),
                rebuild: *rebuild,
                keep_archives: !no_cache,
                ..BuildOptions::default()
            };
            images.build_all(&chosen, &options, &Renderer::stderr()).map_err(Failure::Build)?;
        }
        Command::List { sbom: None } => list_images(images, recipes)?,
        Command::List { sbom: Some(name) } => {
            for recipe in choose(std::slice::from_ref(name), recipes)? {
                let image = images.find(recipe)?.ok_or_else(|| Failure::NotBuilt { name: name.clone() })?;
                writeln!(std::io::stdout().lock(), "{:#}", spdx(&image))?;
            }
        }
        Command::Verify { names } => verify(names, images, recipes)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn choose<'a>(names: &[String], recipes: &'a Recipes) -> Result<Vec<&'a Recipe>, Failure> {
    if names.is_empty() {
        return Ok(recipes.iter().collect());
    }
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    names.dedup();
    let known = || recipes.iter().map(|recipe| recipe.name.as_str()).collect::<Vec<_>>().join(", ");
    let unknown = |name: &String| Failure::UnknownName { name: name.clone(), known: known() };
    names.into_iter().map(|name| recipes.get(name).ok_or_else(|| unknown(name))).collect()
}

fn list_images(images: &Images, recipes: &Recipes) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let all = images.list()?;
    for image in &all {
        let manifest = image.manifest();
        let current = recipes.get(&image.name).is_some_and(|recipe| recipe.digest() == manifest.recipe);
        let note = if current { "" } else { "  (of an older recipe)" };
        let size = mib(image.size);
        writeln!(
            out,
            "{:<10} {size:>9} {:>6} files {:>4} packages  {}  {}{note}",
            image.name,
            manifest.files,
            manifest.packages.len(),
            manifest.built_at,
            image.digest
        )?;
    }
    for recipe in recipes.iter().filter(|recipe| !matches!(images.find(recipe), Ok(Some(_)))) {
        writeln!(out, "{:<10} not built", recipe.name)?;
    }
    Ok(())
}

fn verify(names: &[String], images: &Images, recipes: &Recipes) -> Result<(), Failure> {
    let mut found: Vec<Image> = Vec::new();
    for recipe in choose(names, recipes)? {
        match images.find(recipe)? {
            Some(image) => found.push(image),
            None if names.is_empty() => {}
            None => return Err(Failure::NotBuilt { name: recipe.name.clone() }),
        }
    }
    let mut errors = Vec::new();
    for image in &found {
        match images.verify(image) {
            Ok(()) => writeln!(std::io::stdout().lock(), "{}: as built, {}", image.name, image.digest)?,
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::Verify(errors)) }
}

/// Several errors with their causes, a line each.
fn list<E: std::error::Error>(errors: &[E]) -> String {
    let lines = errors.iter().map(|error| {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}
