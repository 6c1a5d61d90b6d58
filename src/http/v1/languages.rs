//! `GET /v1/languages`: what programs can be written in, in which version, within which limits. It does not change while the
//! service runs, so it is written once at the start; versions come from the images' lists of packages.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::query;
use crate::http::problem::Problem;
use crate::http::reply::Reply;
use crate::http::routes::{Edge, as_json};
use crate::image::{Manifest, Package};
use crate::language::{self, Example};
use crate::service::{Admission, Range};

/// The reply.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Languages<'a> {
    /// Each of them, by name.
    languages: Vec<Language<'a>>,
}

/// One language.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Language")]
struct Language<'a> {
    /// What requests call it.
    name: &'a str,
    /// Its name for people.
    title: &'a str,
    /// The version of its compiler or interpreter; null where its file names no package.
    version: Option<&'a str>,
    /// The Debian package that the version is of.
    package: Option<Origin<'a>>,
    /// Extensions of its files, without the full stop.
    extensions: &'a [String],
    /// Whether there is a compile step.
    compiled: bool,
    /// What its steps have and may be asked for.
    limits: Steps,
    /// What its programs run in.
    image: Image<'a>,
    /// A program that works; null where its file has none.
    example: Option<&'a Example>,
}

/// A package as the image has it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Package")]
struct Origin<'a> {
    /// Its name.
    name: &'a str,
    /// Its version, with what Debian adds.
    version: &'a str,
}

/// Limits of both steps, by the names that requests have.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LanguageLimits")]
struct Steps {
    /// Null where there is no compile step.
    compile: Option<BTreeMap<&'static str, Bounds>>,
    /// Of each run.
    run: BTreeMap<&'static str, Bounds>,
}

/// What one limit is for who asks for nothing, and what may be asked for.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LimitRange")]
struct Bounds {
    /// Null where the step is not held to it.
    default: Option<u64>,
    /// The least that may be asked for.
    least: u64,
    /// The most; that of a token may be lower.
    most: u64,
}

/// What its programs run in.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LanguageImage")]
struct Image<'a> {
    /// Its name.
    name: &'a str,
    /// The digest of its content; null where it is not there.
    digest: Option<String>,
}

/// The body of the reply. `images` are those that the languages name.
#[must_use]
pub fn document(languages: &language::Languages, images: &[&Manifest], admission: &Admission) -> Vec<u8> {
    let shown = languages.iter().filter_map(|language| {
        let (compile, run) = admission.ranges(&language.name)?;
        let image = images.iter().copied().find(|image| image.name == language.image);
        let package = language.package.as_deref().and_then(|name| found(name, language, image?));
        Some(Language {
            name: &language.name,
            title: &language.title,
            version: package.map(|package| upstream(&package.version)),
            package: package.map(|Package { name, version, .. }| Origin { name, version }),
            extensions: &language.extensions,
            compiled: compile.is_some(),
            limits: Steps { compile: compile.map(bounds), run: bounds(run) },
            image: Image { name: &language.image, digest: image.map(|image| image.tree.to_string()) },
            example: language.example.as_ref(),
        })
    });
    // Texts and numbers can always be written.
    let mut body = serde_json::to_vec(&Languages { languages: shown.collect() }).unwrap_or_default();
    body.push(b'\n');
    body
}

/// `GET /v1/languages`.
///
/// # Errors
/// [`Problem::Invalid`]: it has no parameters.
pub fn show(edge: &Edge, query: &str) -> Result<Reply, Problem> {
    query::pairs(query, &[])?;
    Ok(as_json(hyper::StatusCode::OK, edge.languages.clone().into()))
}

fn found<'a>(name: &str, language: &language::Language, image: &'a Manifest) -> Option<&'a Package> {
    let package = image.packages.iter().find(|package| package.name == name);
    if package.is_none() {
        tracing::warn!(
            "language {}: image {} has no package {name}, so that no version is shown; correct `package` in its file",
            language.name,
            image.name
        );
    }
    package
}

/// The version that the authors gave it: without Debian's epoch and revision (deb-version(7)).
fn upstream(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version.rsplit_once('-').map_or(version, |(upstream, _)| upstream)
}

fn bounds(ranges: Vec<Range>) -> BTreeMap<&'static str, Bounds> {
    ranges.into_iter().map(|Range { name, default, least, most }| (name, Bounds { default, least, most })).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::StepPatches;
    use crate::image::Digest;
    use crate::model::{Bytes, LimitsPatch};

    fn image(name: &str, packages: &[(&str, &str)]) -> Manifest {
        let package = |(name, version): &(&str, &str)| Package {
            name: (*name).to_owned(),
            architecture: "amd64".to_owned(),
            version: (*version).to_owned(),
        };
        Manifest {
            format: 1,
            name: name.to_owned(),
            recipe: Digest::of(b"recipe"),
            tree: Digest::of(name.as_bytes()),
            quick: Digest::of(b"quick"),
            size: Bytes(1),
            files: 1,
            built_at: String::new(),
            packages: packages.iter().map(package).collect(),
            source: None,
        }
    }

    fn shown(images: &[Manifest]) -> Value {
        let languages = language::Languages::load(None).unwrap();
        let patches = StepPatches {
            run: LimitsPatch { memory_mib: Some(50), ..LimitsPatch::default() },
            ..StepPatches::default()
        };
        let admission = Admission::new(Arc::new(languages.clone()), "c".into(), [("c".to_owned(), patches)].into());
        let ceilings = LimitsPatch { memory_mib: Some(512), wall_ms: Some(1), ..LimitsPatch::default() };
        let admission = admission.with_ceilings(StepPatches { run: ceilings, ..StepPatches::default() });
        serde_json::from_slice(&document(&languages, &images.iter().collect::<Vec<_>>(), &admission)).unwrap()
    }

    #[test]
    fn a_language_with_all_that_is_known_of_it() {
        let shown = shown(&[image("gcc", &[("gcc", "4:14.2.0-1"), ("gcc-14", "14.2.0-19"), ("g++-14", "14.2.0-19")])]);
        let names: Vec<_> = shown["languages"].as_array().unwrap().iter().map(|language| &language["name"]).collect();
        assert_eq!(names, ["c", "cpp", "java", "python"]);
        let c = &shown["languages"][0];
        assert_eq!(
            (&c["title"], &c["version"], &c["package"], &c["extensions"], &c["compiled"]),
            (
                &json!("C"),
                &json!("14.2.0"),
                &json!({"name": "gcc-14", "version": "14.2.0-19"}),
                &json!(["c"]),
                &json!(true)
            )
        );
        assert_eq!(c["image"], json!({"name": "gcc", "digest": Digest::of(b"gcc").to_string()}));
        let run = &c["limits"]["run"];
        // The operator's own limit and ceiling; a ceiling below the language's own does not count.
        assert_eq!(run["memory_bytes"], json!({"default": 50 << 20, "least": 16 << 20, "most": 512 << 20}));
        assert_eq!(run["wall_ms"], json!({"default": 10_000, "least": 1, "most": 10_000}));
        assert_eq!(run["cpu_percent"]["default"], 10);
        assert_eq!(c["limits"]["compile"]["cpu_percent"]["default"], Value::Null);
        let python = &shown["languages"][3];
        assert_eq!((&python["compiled"], &python["limits"]["compile"]), (&json!(false), &Value::Null));
        // Its image is not there.
        assert_eq!((&python["version"], &python["image"]["digest"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn versions_without_what_debian_adds() {
        for (version, expected) in [
            ("14.2.0-19", "14.2.0"),
            ("3.9.2-1+deb11u3", "3.9.2"),
            ("11.0.28+6-1~deb11u1", "11.0.28+6"),
            ("1:2.36-1-3", "2.36-1"),
            ("5.1", "5.1"),
        ] {
            assert_eq!(upstream(version), expected);
        }
    }
}
