//! What a run is held against, and what it has of its own when there are several.

use serde::{Deserialize, Serialize};

use super::{Limits, Project};

/// What a run has of its own beside its input and its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// The client's name for it.
    pub name: Option<String>,
    /// Arguments in place of the job's.
    pub args: Option<Vec<String>>,
    /// What standard output must be; `None` where it may be anything.
    pub expected: Option<Expected>,
    /// Whether the job's checker says so instead; what is expected is then its third file.
    #[serde(default)]
    pub checked: bool,
}

/// What standard output is held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// What is to be printed.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// What counts as the same.
    pub compare: Compare,
}

/// When an output counts as the expected one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// Byte by byte.
    Exact,
    /// White space at the end of a line and empty lines at the end do not count.
    #[default]
    Trailing,
    /// Only what stands between white space counts.
    Tokens,
    /// As [`Compare::Tokens`], and two numbers are the same within a tolerance.
    Floats(Tolerance),
}

/// How far a number may be from the expected one: within one of the two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// At most so much.
    pub absolute: f64,
    /// At most so much of the expected number's size.
    pub relative: f64,
}

/// Neither is ever NaN: both are checked where they come in.
impl Eq for Tolerance {}

/// The files that a checker finds in `/code`, and its arguments: what the run read, what it printed, what was expected. As
/// testlib has it.
pub const CHECKED: [&str; 3] = ["input", "output", "answer"];

/// A client's program that says whether an output is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checker {
    /// The name of a language that was known when the job was accepted.
    pub language: String,
    /// The program.
    pub source: String,
    /// What it has beside that.
    pub project: Option<Project>,
    /// Limits of its compile step.
    pub compile: Option<Limits>,
    /// Limits of each of its runs.
    pub limits: Limits,
}

/// What holds for all runs of a submission that came with tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Several {
    /// Whether nothing more is run after the first that is not accepted.
    pub stop_on_failure: bool,
}
