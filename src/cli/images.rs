//! `image build`, `image import`, `image list`, `image verify`, `image remove`.

use std::fs::File;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::import;
use crate::cli::progress::{Renderer, mib};
use crate::image::{
    BuildError, BuildOptions, Image, ImageError, Images, ImportError, Recipe, Recipes, VerifyError, spdx,
};

/// Builds, imports and checks the images that jobs run in.
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
    /// Import an image that was made elsewhere: an archive of `docker save`, `podman save`, or an OCI layout.
    Import(import::Arguments),
    /// Show the images that are there, and the recipes that have none.
    List {
        /// The packages of this image instead, as SPDX 2.3 in JSON.
        #[arg(long, value_name = "NAME")]
        sbom: Option<String>,
    },
    /// Read whole images and compare them with what was built or imported.
    Verify {
        /// Which; all that are there without a name.
        names: Vec<String>,
    },
    /// Remove images that no server uses, every version of them.
    Remove {
        /// Which.
        #[arg(required = true)]
        names: Vec<String>,
    },
}

/// A command about images failed. What was already told about single images is not told again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("there is no recipe \"{name}\"; the recipes are: {known}")]
    UnknownName { name: String, known: String },
    #[error("there is no image \"{name}\"; there are: {known}")]
    UnknownImage { name: String, known: String },
    #[error("\"{name}\" is the name of a recipe: import under another name, which a language file then names")]
    Taken { name: String },
    #[error("the archive {path} cannot be opened")]
    Open { path: String, source: std::io::Error },
    #[error("the image {name} was not built; `image build {name}` builds it")]
    NotBuilt { name: String },
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Remove(BuildError),
    #[error("{}", list(.0))]
    Build(Vec<BuildError>),
    #[error("{}", list(.0))]
    Verify(Vec<VerifyError>),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("cannot write the answer")]
    Write(#[from] std::io::Error),
}

impl Arguments {
    /// The archive that is to be imported, opened as whoever calls: the account that serves may not be able to.
    pub(crate) fn open(&self) -> Result<Option<File>, Failure> {
        match &self.command {
            Command::Import(arguments) => arguments.open().map(Some),
            _ => Ok(None),
        }
    }
}

/// Carries out one command. `archive` is what [`Arguments::open`] had.
///
/// # Errors
/// All that went wrong, each with its causes.
pub(crate) fn run(
    arguments: &Arguments,
    archive: Option<File>,
    images: &Images,
    recipes: &Recipes,
) -> Result<ExitCode, Failure> {
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
        Command::Import(arguments) => {
            if let Some(archive) = archive {
                import::run(arguments, archive, images, recipes)?;
            }
        }
        Command::List { sbom: None } => list_images(images, recipes)?,
        Command::List { sbom: Some(name) } => {
            for image in existing(std::slice::from_ref(name), images, recipes)? {
                writeln!(std::io::stdout().lock(), "{:#}", spdx(&image))?;
            }
        }
        Command::Verify { names } => verify(&existing(names, images, recipes)?, images)?,
        Command::Remove { names } => remove(names, images, recipes)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The images of these names; without a name all of recipes and all that were imported.
fn existing(names: &[String], images: &Images, recipes: &Recipes) -> Result<Vec<Image>, Failure> {
    let known = known(images, recipes)?;
    if names.is_empty() {
        let found = known.iter().map(|name| images.named(name, recipes)).collect::<Result<Vec<_>, _>>()?;
        return Ok(found.into_iter().flatten().collect());
    }
    let image = |name: &String| match images.named(name, recipes)? {
        Some(image) => Ok(image),
        None if recipes.get(name).is_some() => Err(Failure::NotBuilt { name: name.clone() }),
        None => Err(Failure::UnknownImage { name: name.clone(), known: known.join(", ") }),
    };
    sorted(names).into_iter().map(image).collect()
}

/// Names of recipes, and of what was imported.
fn known(images: &Images, recipes: &Recipes) -> Result<Vec<String>, Failure> {
    let mut known: Vec<String> = recipes.iter().map(|recipe| recipe.name.clone()).collect();
    known.extend(images.imports()?);
    known.sort();
    known.dedup();
    Ok(known)
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<&String> = names.iter().collect();
    names.sort();
    names.dedup();
    names
}

fn remove(names: &[String], images: &Images, recipes: &Recipes) -> Result<(), Failure> {
    for name in sorted(names) {
        let removed = images.remove(name, &Renderer::stderr()).map_err(Failure::Remove)?;
        if removed == 0 {
            let known = known(images, recipes)?.join(", ");
            return Err(Failure::UnknownImage { name: name.clone(), known });
        }
        writeln!(std::io::stdout().lock(), "{name}: removed")?;
    }
    Ok(())
}

fn choose<'a>(names: &[String], recipes: &'a Recipes) -> Result<Vec<&'a Recipe>, Failure> {
    if names.is_empty() {
        return Ok(recipes.iter().collect());
    }
    let known = || recipes.iter().map(|recipe| recipe.name.as_str()).collect::<Vec<_>>().join(", ");
    let unknown = |name: &String| Failure::UnknownName { name: name.clone(), known: known() };
    sorted(names).into_iter().map(|name| recipes.get(name).ok_or_else(|| unknown(name))).collect()
}

fn list_images(images: &Images, recipes: &Recipes) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let all = images.list()?;
    for image in &all {
        let manifest = image.manifest();
        let current = recipes.get(&image.name).is_some_and(|recipe| recipe.digest() == manifest.recipe);
        let note = match &manifest.source {
            Some(source) => format!("  (imported from {})", import::name(source)),
            None if current => String::new(),
            None => "  (of an older recipe)".to_owned(),
        };
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

fn verify(found: &[Image], images: &Images) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for image in found {
        let made = if image.manifest().source.is_some() { "imported" } else { "built" };
        match images.verify(image) {
            Ok(()) => writeln!(std::io::stdout().lock(), "{}: as {made}, {}", image.name, image.digest)?,
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
