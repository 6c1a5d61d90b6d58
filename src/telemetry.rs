//! Log lines on standard error, for people or for programs:
//! `2026-01-02T03:04:05.678Z INFO [HTTP] POST /submit 202 0.4ms`, with the prefixes that people grep for, or the same as one object of
//! JSON.
//!
//! Never a program, its input or its output in one. Whatever a client can influence is escaped here, once, so that no
//! line can be forged.

mod lines;
mod tag;

use std::io::{self, IsTerminal};

use tracing::Span;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::model::{JobId, Owner};

use lines::Lines;
pub use tag::Tag;

/// The levels that the setting `log` accepts.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people, with prefixes.
    Text,
    /// Objects of JSON.
    Json,
    /// For people where standard error is a terminal, JSON elsewhere.
    Auto,
}

impl LogFormat {
    fn is_json(self) -> bool {
        match self {
            Self::Text => false,
            Self::Json => true,
            Self::Auto => !io::stderr().is_terminal(),
        }
    }
}

/// Sends log lines from `level` (one of [`LEVELS`], otherwise `info`) upwards to standard error, for the life of the
/// process. A second call changes nothing.
pub fn init(level: &str, format: LogFormat) {
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    let lines = Lines::new(format.is_json(), io::stderr);
    // An error means that a subscriber is there already, as in tests.
    let _ = tracing_subscriber::registry().with(level).with(lines).try_init();
}

/// Everything that is done for one job: each line that is logged within it can be found by the job's id.
#[must_use]
pub fn job(id: JobId, language: &str, owner: Option<&Owner>) -> Span {
    // Of this level, so that it is there whatever is logged at all.
    tracing::error_span!("job", %id, language, owner = owner.map_or(NOBODY, Owner::as_str))
}

/// Who submits without a token.
pub const NOBODY: &str = "nobody";

/// `work` as a part of what is under way here, on whatever thread it is done.
pub fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let span = Span::current();
    move || span.in_scope(work)
}

/// `text` without anything that could begin a new line, move a terminal's cursor or reorder what is shown.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if misleads(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Whether it does something else than stand where it is written.
fn misleads(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An error with its causes on one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

#[cfg(test)]
mod tests;
