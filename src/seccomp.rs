//! Seccomp profiles: a strict format of our own, turned into what an OCI runtime reads.
//!
//! A profile is a list of rules, each saying what needs it or which attack it stops; an addition joins rules to profiles
//! for the languages that name it. What no rule names gets ENOSYS, so that a program built for a newer kernel falls back
//! as it would on an older one. `oci-spec` reads its own format leniently, which for a filter means silently weaker;
//! hence the strict one. `seccomp/README.md` shows all of it.

mod addition;
mod calls;
mod check;
mod condition;
mod diff;
mod docker;
mod foreign;
mod format;
mod kernel;
mod manual;
mod never;
mod policy;
mod profile;
mod reference;
mod tally;
mod traced;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::config::files_in;
use format::File;
use profile::About;

pub use addition::{Addition, addition};
pub use calls::{Call, UnknownCall, number_of};
pub use check::{Checked, check};
pub use diff::{Difference, compare};
pub use docker::{DOCKER_DEFAULT, docker_default, docker_version};
pub use foreign::{ForeignError, read_foreign};
pub use never::{NEVER, NEVER_IOCTL, Never, SOCKETS, never};
pub use policy::{Answer, Policy, Said};
pub use profile::Profile;
pub use reference::reference;
pub use tally::Tally;
pub use traced::{Traced, as_json, as_text, refusals};
pub use words::{explain, list, show};

const BUILT_IN: [(&str, &str); 3] = [
    ("compile", include_str!("../seccomp/compile.json")),
    ("java", include_str!("../seccomp/java.json")),
    ("run", include_str!("../seccomp/run.json")),
];

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
    /// It adds to a profile that there is not.
    #[error("{file}: `adds` has {base:?}, which is no profile")]
    Added {
        /// The file.
        file: String,
        /// What it names.
        base: String,
    },
    /// It is neither a profile nor an addition, or both.
    #[error("{file}: a profile has `rules` and may extend another, an addition has `adds` and nothing else of these")]
    Kind {
        /// The file.
        file: String,
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

/// Every profile that there is, by name; `compile+java` is the profile `compile` with the addition `java`, and
/// `compile+java+mine` the same with the addition `mine` to `compile+java`.
#[derive(Clone, Debug)]
pub struct Profiles(BTreeMap<String, Profile>);

impl Profiles {
    /// Ours, and those of `<overrides>/seccomp/*.json`.
    ///
    /// # Errors
    /// Every mistake in every file.
    pub fn load(overrides: Option<&Path>) -> Result<Self, Vec<ProfileError>> {
        Self::load_with(overrides, None)
    }

    /// The same, and `further`, which joins them or replaces the one of its name.
    ///
    /// # Errors
    /// Every mistake in every file.
    pub fn load_with(overrides: Option<&Path>, further: Option<&Path>) -> Result<Self, Vec<ProfileError>> {
        let mut errors = Vec::new();
        let mut texts: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (name, text) in BUILT_IN {
            texts.insert(name.to_owned(), (format!("seccomp/{name}.json"), text.to_owned()));
        }
        let added = files_in(overrides, "seccomp", "json").unwrap_or_else(|(path, source)| {
            errors.push(ProfileError::Read { path, source });
            Vec::new()
        });
        let further = further.map(|path| {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            (name, path.to_owned())
        });
        for (name, path) in added.into_iter().chain(further) {
            match std::fs::read_to_string(&path) {
                Ok(text) => drop(texts.insert(name, (path.display().to_string(), text))),
                Err(source) => errors.push(ProfileError::Read { path, source }),
            }
        }
        let (mut parsed, mut broken) = (BTreeMap::new(), BTreeSet::new());
        for (name, (file, text)) in texts {
            match parse(&file, &text) {
                Ok(content) => drop(parsed.insert(name, (file, content))),
                Err(error) => {
                    broken.insert(name);
                    errors.push(error);
                }
            }
        }
        let profiles = Self::combine(&parsed, broken, &mut errors);
        if errors.is_empty() { Ok(profiles) } else { Err(errors) }
    }

    #[cfg(test)]
    fn of<const N: usize>(files: [(&str, &str); N]) -> Result<Self, Vec<ProfileError>> {
        let read =
            |(name, text): (&str, &str)| parse(name, text).map(|file| (name.to_owned(), (name.to_owned(), file)));
        let parsed = files.into_iter().map(read).collect::<Result<_, _>>().map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        let profiles = Self::combine(&parsed, BTreeSet::new(), &mut errors);
        if errors.is_empty() { Ok(profiles) } else { Err(errors) }
    }

    /// `broken` has the names of files that could not be understood: whoever builds on one is not to blame for it.
    fn combine(
        files: &BTreeMap<String, (String, File)>,
        mut broken: BTreeSet<String>,
        errors: &mut Vec<ProfileError>,
    ) -> Self {
        let mut profiles = BTreeMap::new();
        let profile = |name: &str| files.get(name).map(|(_, file)| file).filter(|file| file.adds.is_empty());
        for (name, (file, content)) in files {
            let base = content.extends.as_ref().map(|base| (base, profile(base).filter(|base| base.extends.is_none())));
            if let Some((base, None)) = base.filter(|(base, _)| !broken.contains(*base)) {
                errors.push(ProfileError::Base { file: file.clone(), base: base.clone() });
            }
            let below = base.and_then(|(_, base)| base).filter(|_| content.adds.is_empty());
            let unknown = [below.map_or(&[][..], |base| &base.unknown), &content.unknown].concat();
            match Profile::new(file, below.map_or(&[], |base| &base.rules), &content.rules, &unknown) {
                Ok(profile) if content.adds.is_empty() => {
                    let about =
                        About { file: file.clone(), comment: content.comment.clone(), base: content.extends.clone() };
                    profiles.insert(name.clone(), profile.described(about));
                }
                Ok(_) => {}
                Err(more) => {
                    broken.insert(name.clone());
                    errors.extend(more);
                }
            }
        }
        let additions =
            files.iter().flat_map(|(name, (file, content))| content.adds.iter().map(move |add| (name, file, add)));
        let mut additions: Vec<_> = additions.collect();
        // Those to a profile first, then those to what comes of them.
        additions.sort_by_key(|(_, _, (base, _))| base.matches('+').count());
        for (name, file, (base, rules)) in additions {
            match profiles.get(base).map(|below: &Profile| Profile::new(file, below.rules(), rules, below.unknown())) {
                Some(Ok(profile)) => {
                    let comment = files.get(name).map(|(_, content)| content.comment.clone()).unwrap_or_default();
                    let about = About { file: file.clone(), comment, base: Some(base.clone()) };
                    profiles.insert(format!("{base}+{name}"), profile.described(about));
                }
                Some(Err(more)) => errors.extend(more),
                None if base.split('+').any(|part| broken.contains(part)) => {}
                None => errors.push(ProfileError::Added { file: file.clone(), base: base.clone() }),
            }
        }
        Self(profiles)
    }

    /// The profile of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Profile)> {
        self.0.iter().map(|(name, profile)| (name.as_str(), profile))
    }

    /// The names of all.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn parse(file: &str, text: &str) -> Result<File, ProfileError> {
    let content: File = serde_json::from_str(text)
        .map_err(|error| ProfileError::Format { file: file.to_owned(), message: error.to_string() })?;
    let addition = content.rules.is_empty() && content.extends.is_none() && content.unknown.is_empty();
    let sound = if content.adds.is_empty() { !content.rules.is_empty() } else { addition };
    if sound { Ok(content) } else { Err(ProfileError::Kind { file: file.to_owned() }) }
}
