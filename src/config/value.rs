//! A value as it was written, before anybody knows what it should be.

use toml::de::{DeInteger, DeValue};

/// From a file or from the environment, where everything is text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// A variable: may stand for a number or, with commas, for a list.
    Variable(String),
    /// A string of the file.
    Text(String),
    /// A number of the file.
    Integer(i128),
    /// True or false in the file.
    Truth(bool),
    /// A list of the file, all strings.
    List(Vec<String>),
    /// Anything else of the file, as it would be written.
    Other(String),
}

impl Raw {
    /// A value of the file that is not a table.
    pub fn from_toml(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text.to_string()),
            DeValue::Integer(number) => integer(number).map_or_else(|| Self::Other(number.to_string()), Self::Integer),
            DeValue::Array(items) => {
                let texts: Option<Vec<_>> =
                    items.iter().map(|item| item.get_ref().as_str().map(ToOwned::to_owned)).collect();
                texts.map_or_else(|| Self::Other("a list of other things than strings".into()), Self::List)
            }
            DeValue::Float(number) => Self::Other(number.to_string()),
            DeValue::Boolean(truth) => Self::Truth(*truth),
            DeValue::Datetime(time) => Self::Other(time.to_string()),
            DeValue::Table(_) => Self::Other("a table".into()),
        }
    }

    /// A whole number.
    pub fn number(&self) -> Option<u64> {
        match self {
            // `parse` would accept a leading plus sign.
            Self::Variable(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            Self::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// True or false.
    pub fn truth(&self) -> Option<bool> {
        match self {
            Self::Variable(text) => text.parse().ok(),
            Self::Truth(truth) => Some(*truth),
            _ => None,
        }
    }

    /// A text that is not empty and has no control characters.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Variable(text) | Self::Text(text) if !text.is_empty() && !text.contains(char::is_control) => {
                Some(text)
            }
            _ => None,
        }
    }

    /// A list; a variable has commas between its items.
    pub fn list(&self) -> Option<Vec<&str>> {
        match self {
            Self::Variable(text) => Some(text.split(',').map(str::trim).collect()),
            Self::List(items) => Some(items.iter().map(String::as_str).collect()),
            _ => None,
        }
    }

    /// The value as a message shows it.
    pub fn shown(&self) -> String {
        match self {
            Self::Variable(text) | Self::Text(text) | Self::Other(text) => text.clone(),
            Self::Integer(number) => number.to_string(),
            Self::Truth(truth) => truth.to_string(),
            Self::List(items) => items.join(", "),
        }
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}
