//! What the service counts, for Prometheus. Each room counts in a set of its own (`sets`), where things happen; the sets are
//! entered in one book, which is written when somebody asks. What is there already in another form, such as how much
//! waits, is only looked at then.
//!
//! No label has values that a client chooses: languages, verdicts, kinds of refusal, routes and statuses are all known.

mod sets;

use std::fmt;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Metric, Registry};

pub use sets::{Http, Jobs, Line, Open, Store, Work};

/// What every name begins with.
const PREFIX: &str = "casemate";

/// The text format of Prometheus, version 0.0.4.
pub const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// OpenMetrics 1.0.0.
pub const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One metric, for people.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name as it is asked for.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

/// Every metric that there is.
#[derive(Default)]
pub struct Book {
    registry: Registry,
    rows: Vec<Row>,
    before: Vec<Box<dyn Fn() + Send + Sync>>,
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl Book {
    /// An empty book.
    #[must_use]
    pub fn new() -> Self {
        Self { registry: Registry::with_prefix(PREFIX), ..Self::default() }
    }

    /// Has this done each time before the book is written.
    pub fn before(&mut self, look: impl Fn() + Send + Sync + 'static) {
        self.before.push(Box::new(look));
    }

    fn enter(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
        metric: &(impl Metric + Clone),
    ) {
        let (kind, end) = match metric.metric_type() {
            MetricType::Counter => ("counter", "_total"),
            MetricType::Histogram => ("histogram", ""),
            _ => ("gauge", ""),
        };
        self.rows.push(Row { name: format!("{PREFIX}_{name}{end}"), kind, labels, help });
        self.registry.register(name, help, metric.clone());
    }

    /// Every metric that was entered.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// All of it as OpenMetrics or as Prometheus' own text.
    #[must_use]
    pub fn written(&self, open: bool) -> String {
        for look in &self.before {
            look();
        }
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        if open { text } else { classic(&text) }
    }
}

/// OpenMetrics as version 0.0.4 has it: there a counter is named with its `_total` everywhere, and nothing marks the end.
fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + 1024);
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        let counter = |line: &str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let head = line.strip_prefix("# HELP ").filter(|_| lines.peek().is_some_and(|next| counter(next)));
        let head = head.map(|rest| ("# HELP ", rest));
        let head = head.or_else(|| Some(("# TYPE ", line.strip_prefix("# TYPE ")?)).filter(|_| counter(line)));
        match head.and_then(|(word, rest)| Some((word, rest.split_once(' ')?))) {
            Some((word, (name, rest))) => text.extend([word, name, "_total ", rest, "\n"]),
            None if line == "# EOF" => {}
            None => text.extend([line, "\n"]),
        }
    }
    text
}

/// A book with every set, as the service has it; nothing counts in it.
#[must_use]
pub fn all() -> Book {
    let mut book = Book::new();
    Jobs::default().enter(&mut book);
    Work::default().enter(&mut book);
    Store::default().enter(&mut book);
    Http::default().enter(&mut book);
    book
}

/// The text of `docs/METRICS.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         This page is generated from `src/metrics/sets.rs`; a test fails when it is stale.\n\n\
         `GET /metrics` in the text format 0.0.4 of Prometheus, or in OpenMetrics 1.0.0 where the request asks for that. Where it\n\
         is served, or that it is not, says `http.metrics` ([SETTINGS](SETTINGS.md)). Times are in seconds, sizes in bytes. Counters\n\
         begin at zero with each start. No label has values that a client chooses. A row of a metric with labels is there once\n\
         something was counted in it.\n\n\
         | metric | kind | labels | what |\n|---|---|---|---|\n",
    );
    for Row { name, kind, labels, help } in all().rows() {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        page.push_str(&format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", ")));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_REFERENCE=1 cargo test reference` writes the page.
    #[test]
    fn the_reference_page_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/METRICS.md");
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(path, reference()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), reference());
    }

    #[test]
    fn names_follow_the_conventions() {
        let book = all();
        let mut names: Vec<_> = book.rows().iter().map(|row| row.name.as_str()).collect();
        for row in book.rows() {
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            assert!(plain(&row.name) && row.labels.iter().all(|label| plain(label)), "{row:?}");
            assert!(!row.help.is_empty() && !row.help.contains(['"', '\\', '\n', '|']), "{row:?}");
            assert!(!row.help.ends_with('.'), "the crate adds it: {row:?}");
            assert_eq!(row.kind == "counter", row.name.ends_with("_total"), "{row:?}");
            let unit = ["_seconds", "_bytes", "_changes"].iter().any(|unit| row.name.ends_with(unit));
            assert!(row.kind != "histogram" || unit, "{row:?}");
        }
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert!(names.len() == all && all > 20, "{names:?}");
    }

    #[test]
    fn both_forms() {
        let (jobs, mut book) = (Jobs::default(), Book::new());
        jobs.enter(&mut book);
        jobs.accepted.inc();
        let (classic, open) = (book.written(false), book.written(true));
        let name = "casemate_submissions_accepted";
        assert!(open.contains(&format!("# TYPE {name} counter\n{name}_total 1\n")), "{open}");
        assert!(open.ends_with("# EOF\n"), "{open}");
        assert!(classic.contains(&format!("# TYPE {name}_total counter\n{name}_total 1\n")), "{classic}");
        assert!(classic.contains(&format!("# HELP {name}_total ")) && !classic.contains("EOF"), "{classic}");
        assert!(classic.contains("# TYPE casemate_submission_wait_seconds histogram\n"), "{classic}");
    }
}
