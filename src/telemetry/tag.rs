//! What a line is about.

use std::fmt;

use crate::model::JobId;

/// What a line is about. Written as a field: `info!(tag = %Tag::Http, "…")`.
///
/// Shown as the prefix of a line, `[EXEC-<id>]`; in the alternate form (`{:#}`) as its [`Parts`] are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag<'a> {
    /// A request.
    Http,
    /// What waits.
    Queue,
    /// Who submitted what, and what came of it.
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

impl Tag<'_> {
    const fn kind(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Queue => "queue",
            Self::Audit => "audit",
            Self::Worker(_) => "worker",
            Self::Exec(_) => "exec",
            Self::Language(..) => "language",
            Self::Timeout(_) => "timeout",
            Self::Result(_) => "result",
        }
    }
}

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind();
        match (self, f.alternate()) {
            (Self::Http | Self::Queue | Self::Audit, true) => f.write_str(kind),
            (Self::Worker(n), true) => write!(f, "{kind} {n}"),
            (Self::Exec(id) | Self::Timeout(id) | Self::Result(id), true) => write!(f, "{kind} {id}"),
            (Self::Language(name, id), true) => write!(f, "{kind} {id} {name}"),
            (Self::Http, false) => f.write_str("[HTTP]"),
            (Self::Queue, false) => f.write_str("[QUEUE]"),
            (Self::Audit, false) => f.write_str("[AUDIT]"),
            (Self::Worker(n), false) => write!(f, "[WORKER-{n}]"),
            (Self::Exec(id), false) => write!(f, "[EXEC-{id}]"),
            (Self::Language(name, id), false) => write!(f, "[{}-{id}]", name.to_ascii_uppercase()),
            (Self::Timeout(id), false) => write!(f, "[TIMEOUT-{id}]"),
            (Self::Result(id), false) => write!(f, "[RESULT-{id}]"),
        }
    }
}

/// What a tag says, each part by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts<'t> {
    pub(super) kind: &'t str,
    pub(super) worker: Option<u64>,
    pub(super) id: Option<&'t str>,
    pub(super) language: Option<&'t str>,
}

impl<'t> Parts<'t> {
    /// Of a tag in its alternate form.
    pub(super) fn of(text: &'t str) -> Self {
        let mut words = text.splitn(3, ' ');
        let (kind, second, language) = (words.next().unwrap_or_default(), words.next(), words.next());
        let worker = second.filter(|_| kind == "worker").and_then(|number| number.parse().ok());
        Self { kind, worker, id: second.filter(|_| worker.is_none()), language }
    }
}
