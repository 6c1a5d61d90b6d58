//! Makes a line of an event, as text or as JSON. An event within a job's span is told with that job's id.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::SystemTime;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::tag::Parts;
use super::{escaped, misleads};

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// What a line is about that has no tag.
const OTHERS: &str = "service";

/// One event, one line, written at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lines<W> {
    json: bool,
    to: W,
}

impl<W> Lines<W> {
    pub(super) const fn new(json: bool, to: W) -> Self {
        Self { json, to }
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // Only a year beyond 9999 cannot be shown so.
        let now = OffsetDateTime::from(SystemTime::now()).format(TIME).unwrap_or_default();
        let mut said = Fields::default();
        event.record(&mut said);
        let scope = context.event_scope(event);
        let within = scope.and_then(|mut scope| scope.find_map(|span| span.extensions().get::<Fields>().cloned()));
        let within = within.unwrap_or_default();
        let form = if self.json { json } else { text };
        let line = form(&now, event.metadata().level(), &said, &within) + "\n";
        // Whom should it be told that nobody reads?
        let _ = self.to.make_writer().write_all(line.as_bytes());
    }
}

/// What an event or a span says.
#[derive(Clone, Debug, Default)]
struct Fields {
    /// As a prefix, and in its parts.
    tag: [String; 2],
    message: String,
    rest: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.rest.push((field.name(), value.into()));
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "tag" => self.tag = [format!("{value:?}"), format!("{value:#?}")],
            "message" => self.message = format!("{value:?}"),
            _ => self.put(field, format!("{value:?}")),
        }
    }
}

/// For people. The id of the job stands at the end where it is nowhere else.
fn text(now: &str, level: &Level, said: &Fields, within: &Fields) -> String {
    let mut line = format!("{now} {level}");
    for part in [&said.tag[0], &said.message].into_iter().filter(|part| !part.is_empty()) {
        // Writing into a String cannot fail.
        let _ = write!(line, " {part}");
    }
    let own = |line: &str, value: &Value| value.as_str().is_some_and(|id| line.contains(id));
    let job = within.rest.iter().find(|(name, value)| *name == "id" && !own(&line, value));
    for (name, value) in said.rest.iter().chain(job) {
        let _ = match value {
            Value::String(text) => write!(line, " {name}={text}"),
            other => write!(line, " {name}={other}"),
        };
    }
    escaped(&line)
}

/// For programs.
fn json(now: &str, level: &Level, said: &Fields, within: &Fields) -> String {
    let [prefix, tag] = &said.tag;
    let Parts { kind, worker, id, language } = Parts::of(if tag.is_empty() { OTHERS } else { tag });
    let mut members: Vec<(&str, Value)> =
        vec![("time", now.into()), ("level", level.as_str().into()), ("kind", kind.into())];
    if !prefix.is_empty() {
        members.push(("prefix", prefix.as_str().into()));
    }
    members.extend(worker.map(|number| ("worker", number.into())));
    members
        .extend([("id", id), ("language", language)].into_iter().filter_map(|(name, text)| Some((name, text?.into()))));
    members.push(("message", said.message.as_str().into()));
    let mut line = String::from("{");
    for (at, (name, value)) in members.iter().chain(&within.rest).chain(&said.rest).enumerate() {
        // What the tag says of the job its span says too.
        if at >= members.len() && members.iter().chain(&within.rest).take(at).any(|(taken, _)| taken == name) {
            continue;
        }
        let comma = if at == 0 { "" } else { "," };
        // Names are of our making and need no escapes; writing into a String cannot fail.
        let _ = write!(line, "{comma}\"{name}\":{value}");
    }
    line.push('}');
    let mut safe = String::with_capacity(line.len());
    for c in line.chars() {
        // It can only be inside of a text, and none of these is beyond sixteen bits.
        if misleads(c) {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}
