//! `image import`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;

use clap::Args;

use crate::cli::images::Failure;
use crate::cli::progress::{Renderer, mib};
use crate::image::{Digest, Image, Images, Import, Recipes, Source};

/// What to import, and under which name.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What the image is called here, by which language files name it.
    name: String,
    /// The archive, plain or compressed by gzip or zstd; - for standard input.
    archive: PathBuf,
    /// Take nothing that has not this digest: of the archive, of the manifest or an index in it, or the image's id.
    #[arg(long, value_name = "SHA256", value_parser = digest)]
    digest: Option<Digest>,
    /// Which image, where the archive holds several: its name there.
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Leave out this absolute path with all below it; * and ? stand for characters within one component.
    #[arg(long, value_name = "PATTERN")]
    leave_out: Vec<String>,
}

impl Arguments {
    pub(super) fn open(&self) -> Result<File, Failure> {
        let opened = match self.archive.as_os_str() == "-" {
            true => std::io::stdin().as_fd().try_clone_to_owned().map(File::from),
            false => File::open(&self.archive),
        };
        opened.map_err(|source| Failure::Open { path: self.archive.display().to_string(), source })
    }
}

/// With or without what Docker writes before it.
fn digest(text: &str) -> Result<Digest, String> {
    text.strip_prefix("sha256:").unwrap_or(text).parse().map_err(|error: crate::image::NotADigest| error.to_string())
}

/// Imports, and tells what there is now.
pub(super) fn run(arguments: &Arguments, archive: File, images: &Images, recipes: &Recipes) -> Result<(), Failure> {
    if recipes.get(&arguments.name).is_some() {
        return Err(Failure::Taken { name: arguments.name.clone() });
    }
    let import = Import {
        name: arguments.name.clone(),
        image: arguments.image.clone(),
        digest: arguments.digest,
        leave_out: arguments.leave_out.clone(),
    };
    let image = images.import(archive, &import, &Renderer::stderr())?;
    std::io::stdout().lock().write_all(told(&image).as_bytes())?;
    Ok(())
}

/// What the archive called an image, for a line.
pub(super) fn name(source: &Source) -> String {
    source.name.as_deref().map_or_else(|| "an image without a name".to_owned(), |name| name.escape_debug().to_string())
}

fn told(image: &Image) -> String {
    let manifest = image.manifest();
    let Some(source) = &manifest.source else { return String::new() };
    let mut text = format!("{}: imported from {}, {}\n", image.name, name(source), source.platform);
    let mut line = |what: &str, said: &dyn std::fmt::Display| {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  {what:<10} {said}");
    };
    line("archive", &format_args!("sha256:{}", source.archive));
    if let Some(manifest) = source.manifest {
        line("manifest", &format_args!("sha256:{manifest}"));
    }
    line("image id", &format_args!("sha256:{}", source.id));
    line("tree", &image.digest);
    let (files, layers, packages) = (manifest.files, source.layers.len(), manifest.packages.len());
    line("holds", &format_args!("{files} files, {}, of {layers} layers; {packages} packages", mib(image.size)));
    let dropped = source.dropped;
    line(
        "without",
        &format_args!(
            "{} devices and FIFOs, set-id bits of {}, extended attributes of {}, {} entries that are left out",
            dropped.devices, dropped.set_id, dropped.xattrs, dropped.left_out
        ),
    );
    for variable in &source.env {
        line("asks for", &variable.escape_debug());
    }
    if !source.command.is_empty() {
        line(
            "starts",
            &source.command.iter().map(|word| word.escape_debug().to_string()).collect::<Vec<_>>().join(" "),
        );
    }
    text
}
