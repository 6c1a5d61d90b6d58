//! The profile file as it is written, and as everybody else sees it. Whether it makes sense is `check`'s business.

use oci_spec::runtime::LinuxSeccomp;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::{ProfileError, check, oci};

/// A checked profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name by which a language's step asks for it.
    pub name: String,
    /// What a system call without a rule fails with.
    pub default_errno: Errno,
    /// All rules in the order of the file.
    pub rules: Vec<Rule>,
    pub(super) oci: LinuxSeccomp,
}

/// One rule; it holds when all of its filters do. Several rules of one system call are alternatives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The group it stands in.
    pub group: String,
    /// What happens.
    pub action: Action,
    /// The system calls.
    pub names: Vec<String>,
    /// The filters.
    pub args: Vec<Arg>,
    /// What needs it.
    pub comment: String,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lets the call through.
    Allow,
    /// Fails it.
    Errno(Errno),
}

/// The errors that a profile can answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Errno {
    /// Operation not permitted: it exists and is refused.
    #[serde(rename = "EPERM")]
    Perm,
    /// Permission denied.
    #[serde(rename = "EACCES")]
    Acces,
    /// Function not implemented: C libraries fall back to an older call.
    #[serde(rename = "ENOSYS")]
    Nosys,
}

impl Errno {
    /// The number on every architecture of Linux that we know (errno(3)).
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Perm => 1,
            Self::Acces => 13,
            Self::Nosys => 38,
        }
    }
}

/// A comparison of one argument, as a register of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arg {
    /// 0 to 5.
    pub index: u32,
    /// How it is compared.
    pub op: Op,
    /// With `masked_eq` alone: the bits that are compared.
    #[serde(default, deserialize_with = "some_number")]
    pub mask: Option<u64>,
    /// What it is compared with.
    #[serde(deserialize_with = "number")]
    pub value: u64,
}

/// The comparisons that libseccomp has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Different.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Equal.
    Eq,
    /// Greater or equal.
    Ge,
    /// Greater.
    Gt,
    /// Equal in the bits of the mask.
    MaskedEq,
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub about: String,
    pub default_errno: Errno,
    pub groups: Vec<Group>,
}

/// Rules with one purpose and one action.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub group: String,
    #[serde(deserialize_with = "action")]
    pub action: Action,
    pub stops: Option<String>,
    pub rules: Vec<Entry>,
}

/// A rule as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub names: Vec<String>,
    pub comment: String,
    #[serde(default)]
    pub args: Vec<Arg>,
}

impl Profile {
    /// Reads a profile; `name` is what it is called.
    ///
    /// # Errors
    /// Every mistake; those of the syntax one at a time, because nothing can be read behind one.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<ProfileError>> {
        let mut json = serde_json::Deserializer::from_str(text);
        let format = |path: String, source| vec![ProfileError::Format { profile: name.to_owned(), path, source }];
        let file: File = serde_path_to_error::deserialize(&mut json)
            .map_err(|error| format(error.path().to_string(), error.into_inner()))?;
        json.end().map_err(|source| format("the end".to_owned(), source))?;
        let errors = check::check(name, &file);
        if !errors.is_empty() {
            return Err(errors);
        }
        let rules = file.groups.into_iter().flat_map(|Group { group, action, rules, .. }| {
            rules.into_iter().map(move |Entry { names, comment, args }| Rule {
                group: group.clone(),
                action,
                names,
                args,
                comment,
            })
        });
        let rules: Vec<Rule> = rules.collect();
        let oci = oci::convert(file.default_errno, &rules)
            .map_err(|source| vec![ProfileError::Convert { profile: name.to_owned(), source }])?;
        Ok(Self { name: name.to_owned(), default_errno: file.default_errno, rules, oci })
    }
}

fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Action, D::Error> {
    let word = String::deserialize(deserializer)?;
    match word.as_str() {
        "allow" => Ok(Action::Allow),
        other => Errno::deserialize(de::value::StrDeserializer::new(other)).map(Action::Errno),
    }
}

/// Hexadecimal, because flags are: JSON has no such numbers, so they are texts.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.strip_prefix("0x")
        .filter(|digits| !digits.starts_with('+'))
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| de::Error::custom(format!("{text:?} is no hexadecimal number such as \"0x1f\"")))
}

fn some_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    number(deserializer).map(Some)
}
