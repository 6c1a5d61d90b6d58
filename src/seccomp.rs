//! Seccomp profiles: a strict format of our own, turned into what an OCI runtime reads.
//!
//! A profile is a list of rules, each saying what needs it or which attack it stops. What no rule names gets ENOSYS, so
//! that a program built for a newer kernel falls back as it would on an older one. `oci-spec` reads its own format
//! leniently, which for a filter means silently weaker; hence the strict one.

mod profile;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use profile::Profile;

const BUILT_IN: [(&str, &str); 2] =
    [("compile", include_str!("../seccomp/compile.json")), ("run", include_str!("../seccomp/run.json"))];

/// What is wrong with a profile.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// It cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no JSON of this form.
    #[error("{file}: {message}")]
    Format {
        /// The file.
        file: String,
        /// What the parser says, with the place.
        message: String,
    },
    /// It extends a profile that there is not, or itself.
    #[error("{file}: `extends` is {base:?}, which is no other profile that extends nothing")]
    Base {
        /// The file.
        file: String,
        /// What it names.
        base: String,
    },
    /// A rule contradicts itself or another.
    #[error("{file}: rule {rule:?}: {message}")]
    Rule {
        /// The file.
        file: String,
        /// The rule's group.
        rule: String,
        /// What is wrong, and the remedy.
        message: String,
    },
}

/// Every profile that there is, by name.
#[derive(Clone, Debug)]
pub struct Profiles(BTreeMap<String, Profile>);

impl Profiles {
    /// Ours, and those of `<overrides>/seccomp/*.json`.
    ///
    /// # Errors
    /// Every mistake in every file.
    pub fn load(overrides: Option<&Path>) -> Result<Self, Vec<ProfileError>> {
        let mut errors = Vec::new();
        let mut texts: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (name, text) in BUILT_IN {
            texts.insert(name.to_owned(), (format!("seccomp/{name}.json"), text.to_owned()));
        }
        for path in files(overrides, &mut errors) {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            match std::fs::read_to_string(&path) {
                Ok(text) => drop(texts.insert(name, (path.display().to_string(), text))),
                Err(source) => errors.push(ProfileError::Read { path, source }),
            }
        }
        let mut profiles = BTreeMap::new();
        for (name, (file, text)) in &texts {
            let base = |wanted: &str| texts.get(wanted).filter(|_| wanted != name).map(|(_, text)| text.as_str());
            match Profile::parse(file, text, base) {
                Ok(profile) => drop(profiles.insert(name.clone(), profile)),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(Self(profiles)) } else { Err(errors) }
    }

    /// The profile of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.0.get(name)
    }
}

fn files(overrides: Option<&Path>, errors: &mut Vec<ProfileError>) -> Vec<PathBuf> {
    let Some(dir) = overrides.map(|dir| dir.join("seccomp")).filter(|dir| dir.exists()) else { return Vec::new() };
    match std::fs::read_dir(&dir).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => {
            let mut paths: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
            paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
            paths.sort();
            paths
        }
        Err(source) => {
            errors.push(ProfileError::Read { path: dir, source });
            Vec::new()
        }
    }
}
