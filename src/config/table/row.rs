//! What a row of the table is.

use crate::config::Settings;
use crate::config::value::Raw;

/// The four that have a variable of their own, without the prefix.
pub const PLAIN: [&str; 4] = ["port", "max_workers", "queue_size", "default_language"];

/// Where a default comes from.
#[derive(Clone, Copy, Debug)]
pub enum Preset {
    /// This text, read as a variable would be.
    Text(&'static str),
    /// It follows from something else, as this says.
    Derived(&'static str),
}

/// One setting.
#[derive(Debug)]
pub struct Row {
    /// The key of the file, tables before dots.
    pub key: &'static str,
    pub preset: Preset,
    pub accepts: &'static str,
    pub doc: &'static str,
    /// `None` when the value is not accepted.
    pub set: fn(&mut Settings, &Raw) -> Option<()>,
}

macro_rules! row {
    ($key:literal, $preset:expr, $accepts:expr, $doc:literal, |$settings:ident, $raw:ident| $set:expr) => {
        Row {
            key: $key,
            preset: $preset,
            accepts: $accepts,
            doc: $doc,
            set: |$settings, $raw| {
                $set;
                Some(())
            },
        }
    };
}
pub(super) use row;
