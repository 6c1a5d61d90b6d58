//! Seccomp profiles: a strict format of our own, turned into what an OCI runtime reads.
//!
//! The two profiles of `seccomp/` are embedded; `<settings dir>/seccomp/*.json` replaces them by name or adds others.
//! Nothing here loads a filter: the runtime does, out of the bundle.

mod check;
mod format;
mod oci;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use format::{Action, Arg, Errno, Op, Profile, Rule};

/// The profiles that the binary carries: name and text.
const EMBEDDED: [(&str, &str); 2] =
    [("compile", include_str!("../seccomp/compile.json")), ("run", include_str!("../seccomp/run.json"))];

/// One mistake in a profile.
#[derive(Debug, Error)]
pub enum ProfileError {
    /// The directory of overriding profiles cannot be listed.
    #[error("seccomp profiles in {}: cannot list the directory: {source}", dir.display())]
    List {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A profile cannot be read.
    #[error("seccomp profile {}: cannot read it: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not JSON, an unknown key, a missing key or a value of the wrong kind.
    #[error("seccomp profile {profile}: at {path}: {source}")]
    Format {
        /// The profile's name.
        profile: String,
        /// The key, from the top.
        path: String,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A text that has to say something is empty.
    #[error("seccomp profile {profile}: {place} is empty; say {wanted}")]
    Empty {
        /// The profile's name.
        profile: String,
        /// The key, from the top.
        place: String,
        /// What belongs there.
        wanted: &'static str,
    },
    /// A group that refuses does not say what it stops, or one that allows does.
    #[error("seccomp profile {profile}: group {group:?}: `stops` belongs to every group that refuses and to no other")]
    Stops {
        /// The profile's name.
        profile: String,
        /// The group.
        group: String,
    },
    /// Two groups of one name.
    #[error("seccomp profile {profile}: group {group:?} is there twice; merge the two")]
    GroupTwice {
        /// The profile's name.
        profile: String,
        /// The group.
        group: String,
    },
    /// The action is what happens without the rule, and runtimes drop or refuse such rules.
    #[error("seccomp profile {profile}: group {group:?} does what the default does; remove it")]
    EqualsDefault {
        /// The profile's name.
        profile: String,
        /// The group.
        group: String,
    },
    /// Not the name of a system call.
    #[error("seccomp profile {profile}: group {group:?}: {name:?} is no name of a system call; use a-z, 0-9 and _")]
    Name {
        /// The profile's name.
        profile: String,
        /// The group.
        group: String,
        /// The name.
        name: String,
    },
    /// A system call has two rules that cannot both hold.
    #[error("seccomp profile {profile}: {name} has a rule without `args` and another rule, or the same `args` twice")]
    Duplicate {
        /// The profile's name.
        profile: String,
        /// The system call.
        name: String,
    },
    /// A filter that libseccomp does not take, or that can never hold.
    #[error("seccomp profile {profile}: {name}: argument {index}: {reason}")]
    Arg {
        /// The profile's name.
        profile: String,
        /// The first system call of the rule.
        name: String,
        /// The argument's index.
        index: u32,
        /// What is wrong and what to do.
        reason: &'static str,
    },
    /// The specification's types refuse it.
    #[error("seccomp profile {profile}: cannot be put in the runtime's terms: {source}")]
    Convert {
        /// The profile's name.
        profile: String,
        /// Why.
        source: oci_spec::OciSpecError,
    },
}

/// Every profile that a step can name.
#[derive(Clone, Debug)]
pub struct Profiles {
    by_name: BTreeMap<String, Profile>,
}

impl Profiles {
    /// The embedded profiles and, over them, the `*.json` of `overrides`; the file's stem is the profile's name. A
    /// directory that does not exist is one without files.
    ///
    /// # Errors
    /// Every mistake of every file.
    pub fn load(overrides: Option<&Path>) -> Result<Self, Vec<ProfileError>> {
        let mut texts: BTreeMap<String, String> =
            EMBEDDED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let mut errors = Vec::new();
        if let Some(dir) = overrides {
            read_dir(dir, &mut texts, &mut errors);
        }
        let mut by_name = BTreeMap::new();
        for (name, text) in texts {
            match Profile::parse(&name, &text) {
                Ok(profile) => drop(by_name.insert(name, profile)),
                Err(more) => errors.extend(more),
            }
        }
        if errors.is_empty() { Ok(Self { by_name }) } else { Err(errors) }
    }

    /// The profile of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.by_name.get(name)
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

fn read_dir(dir: &Path, texts: &mut BTreeMap<String, String>, errors: &mut Vec<ProfileError>) {
    let list = |source| ProfileError::List { dir: dir.to_owned(), source };
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        Err(source) => return errors.push(list(source)),
    };
    for entry in entries {
        let file = match entry {
            Ok(entry) => entry.path(),
            Err(source) => return errors.push(list(source)),
        };
        if file.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match std::fs::read_to_string(&file) {
            Ok(text) => drop(texts.insert(name, text)),
            Err(source) => errors.push(ProfileError::Read { file, source }),
        }
    }
}

#[cfg(test)]
mod tests;
