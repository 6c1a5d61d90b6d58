//! What is wrong with a setting: where it stands, its value, what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Where a setting was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A place in the file, counted from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The character in it.
        column: usize,
        /// The key, with its tables; empty for a mistake in the notation.
        key: String,
    },
    /// A variable of the environment.
    Variable(String),
    /// A setting, wherever it came from.
    Key(String),
}

impl Origin {
    /// The key that begins at this byte of the file's text.
    pub(super) fn at(path: &Path, text: &str, offset: usize, key: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        let (line, column) = (before.matches('\n').count() + 1, line.chars().count() + 1);
        Self::File { path: path.to_owned(), line, column, key: key.to_owned() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column, key } => {
                write!(f, "{}:{line}:{column}", path.display())?;
                if key.is_empty() { Ok(()) } else { write!(f, ": {key}") }
            }
            Self::Variable(name) => write!(f, "environment: {name}"),
            Self::Key(key) => f.write_str(key),
        }
    }
}

/// One mistake in the settings.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mistake {
    /// The value is not one that the setting accepts.
    #[error("{origin}: {value:?} is not accepted; give {accepts}")]
    Value {
        /// Where.
        origin: Origin,
        /// The value.
        value: String,
        /// What is accepted.
        accepts: String,
    },
    /// There is no such setting.
    #[error("{origin}: there is no such setting{}", near.as_ref().map(|near| format!("; did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// Where.
        origin: Origin,
        /// A setting with nearly the same name.
        near: Option<String>,
    },
    /// The file is not TOML.
    #[error("{origin}: this is not TOML: {problem}")]
    Notation {
        /// Where.
        origin: Origin,
        /// What the parser found.
        problem: String,
    },
    /// Two variables of the same setting differ.
    #[error("environment: {first} and {second} are the same setting and differ; unset one of them")]
    Twice {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
}
