//! Log lines with the prefixes that people grep for, on standard error:
//! `2026-01-02T03:04:05.678Z INFO [HTTP] POST /submit 202 0.4ms`.
//!
//! Never a program, its input or its output in one. Whatever a client can influence is escaped here, once, so that no
//! line can be forged.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::model::JobId;

/// What a line is about. Written as a field: `info!(tag = %Tag::Http, "…")`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag<'a> {
    /// A request.
    Http,
    /// What waits.
    Queue,
    /// Who submitted what.
    Audit,
    /// A worker, counted from 1.
    Worker(usize),
    /// The execution of a job.
    Exec(JobId),
    /// What is special to a language: `[PYTHON-id]`.
    Language(&'a str, JobId),
    /// A time-out.
    Timeout(JobId),
    /// The end of a job.
    Result(JobId),
}

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http => f.write_str("[HTTP]"),
            Self::Queue => f.write_str("[QUEUE]"),
            Self::Audit => f.write_str("[AUDIT]"),
            Self::Worker(n) => write!(f, "[WORKER-{n}]"),
            Self::Exec(id) => write!(f, "[EXEC-{id}]"),
            Self::Language(name, id) => write!(f, "[{}-{id}]", name.to_ascii_uppercase()),
            Self::Timeout(id) => write!(f, "[TIMEOUT-{id}]"),
            Self::Result(id) => write!(f, "[RESULT-{id}]"),
        }
    }
}

/// The levels that the setting `log` accepts.
pub const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Sends log lines from `level` (one of [`LEVELS`], otherwise `info`) upwards to standard error, for the life of the
/// process. A second call changes nothing.
pub fn init(level: &str) {
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    // An error means that a subscriber is there already, as in tests.
    let _ = tracing_subscriber::fmt().event_format(Lines).with_max_level(level).with_writer(std::io::stderr).try_init();
}

/// One event, one line.
#[derive(Clone, Copy, Debug)]
pub struct Lines;

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let now = OffsetDateTime::from(SystemTime::now()).format(TIME).map_err(|_| fmt::Error)?;
        let mut parts = Parts::default();
        event.record(&mut parts);
        let mut line = format!("{now} {}", event.metadata().level());
        for part in [parts.tag, parts.message, parts.rest] {
            if !part.is_empty() {
                line.push(' ');
                line.push_str(&part);
            }
        }
        writeln!(out, "{}", escaped(&line))
    }
}

#[derive(Default)]
struct Parts {
    tag: String,
    message: String,
    rest: String,
}

impl Visit for Parts {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a String cannot fail.
        let _ = match field.name() {
            "tag" => write!(self.tag, "{value:?}"),
            "message" => write!(self.message, "{value:?}"),
            name => {
                let space = if self.rest.is_empty() { "" } else { " " };
                write!(self.rest, "{space}{name}={value:?}")
            }
        };
    }
}

/// `text` without anything that could begin a new line, move a terminal's cursor or reorder what is shown.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || reorders {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
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
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line_of(log: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = tracing_subscriber::fmt().event_format(Lines).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_has_time_level_prefix_and_message() {
        let line = line_of(|| tracing::info!(tag = %Tag::Http, bytes = 3, "POST /submit 202 0.4ms"));
        let (time, rest) = line.split_at(24);
        assert_eq!(rest, " INFO [HTTP] POST /submit 202 0.4ms bytes=3\n");
        assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T' && time.as_bytes()[19] == b'.', "{time}");
    }

    #[test]
    fn the_prefixes_of_the_contract() {
        let id: JobId = "6423259c-ee14-45aa-9c90-d5e989f92aa1".parse().unwrap();
        let table = [
            (Tag::Http, "[HTTP]"),
            (Tag::Queue, "[QUEUE]"),
            (Tag::Worker(1), "[WORKER-1]"),
            (Tag::Exec(id), "[EXEC-6423259c-ee14-45aa-9c90-d5e989f92aa1]"),
            (Tag::Language("cpp", id), "[CPP-6423259c-ee14-45aa-9c90-d5e989f92aa1]"),
            (Tag::Timeout(id), "[TIMEOUT-6423259c-ee14-45aa-9c90-d5e989f92aa1]"),
            (Tag::Result(id), "[RESULT-6423259c-ee14-45aa-9c90-d5e989f92aa1]"),
        ];
        for (tag, shown) in table {
            assert_eq!(tag.to_string(), shown);
        }
    }

    #[test]
    fn nothing_forges_a_line() {
        let line = line_of(|| tracing::info!(tag = %Tag::Http, "GET /\r\n2026 INFO [HTTP] \x1b[2J\u{202e}"));
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with("GET /\\r\\n2026 INFO [HTTP] \\u{1b}[2J\\u{202e}\n"), "{line}");
    }
}
