//! The system calls that a step made, as far as somebody asked for them.

use serde::{Deserialize, Serialize};

use super::StepKind;

/// What is kept of the system calls of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watched {
    /// Nothing: nobody looks.
    #[default]
    Nothing,
    /// Those that the filter refused in runs.
    Refused,
    /// All.
    All,
}

impl Watched {
    /// Whether nobody looks.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// What of it holds for a step of this kind.
    #[must_use]
    pub const fn of(self, kind: StepKind) -> Self {
        match (self, kind) {
            (Self::Refused, StepKind::Compile) => Self::Nothing,
            _ => self,
        }
    }
}

/// The calls of one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Each with what became of it, by name.
    pub calls: Vec<Call>,
    /// Further calls that found no place in the list.
    pub beyond: u64,
    /// Whether the program started something that cannot be watched (clone(2), `CLONE_UNTRACED`).
    pub incomplete: bool,
    /// Whether nobody could look although somebody asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
}

impl Calls {
    /// What is told where nobody could look.
    #[must_use]
    pub fn unseen() -> Self {
        Self { unseen: true, ..Self::default() }
    }

    /// Leaves the first `most` in the list; the others are counted.
    pub fn shorten(&mut self, most: usize) {
        let rest = self.calls.drain(self.calls.len().min(most)..);
        self.beyond += rest.map(|call| call.count).sum::<u64>();
    }

    /// Whether there were calls that are not in the list.
    #[must_use]
    pub const fn truncated(&self) -> bool {
        self.beyond > 0 || self.incomplete || self.unseen
    }
}

/// One system call and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// Its name; its number where it has no name that we know, with its table where that is not the machine's own.
    pub name: String,
    /// Its number in its table.
    #[serde(default)]
    pub number: Option<i64>,
    /// What became of it.
    pub fate: Fate,
    /// The group of the rule that decided; none where none did.
    pub group: Option<String>,
    /// Where arguments decided: what was seen of them.
    #[serde(default)]
    pub seen: Vec<Seen>,
    /// Why, in a sentence.
    pub why: String,
    /// How often.
    pub count: u64,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The kernel decided.
    Allowed,
    /// EPERM: a rule refuses it.
    Refused,
    /// ENOSYS: it looks unknown.
    Unknown,
    /// The filter ended the thread that made it.
    Killed,
}

impl Fate {
    /// The error that the program got, by its name (errno(3)); none where it got none.
    #[must_use]
    pub const fn errno(self) -> Option<&'static str> {
        match self {
            Self::Refused => Some("EPERM"),
            Self::Unknown => Some("ENOSYS"),
            Self::Allowed | Self::Killed => None,
        }
    }
}

/// What was seen of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen {
    /// Which, from 0.
    pub index: u8,
    /// The bits that the profile's rules look at.
    pub mask: u64,
    /// What they were.
    pub value: u64,
}
