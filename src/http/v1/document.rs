//! A submission as the routes below `/v1/` show it. The types are the form of the JSON; what a step printed stands in it as
//! a [`Slot`] until the whole is cut into parts, so that output never lies in memory twice.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::judged::{self, Ran, Tests};
use super::moment::{microseconds, moment};
use super::openapi::schemas;
use super::verdict::{self, ending};
use crate::http::printed::{Printed, Step as At, Stream, kept};
use crate::http::reply::{self, Part};
use crate::model::{
    About, Bound, Bounds, Elapsed, Enforcer, JobId, JobReport, StepReport, Streams, Submission, Verdict, WaitStatus,
};
use crate::report::bounds;

/// A submission as far as it is known without its report.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Listed")]
pub struct Head<'a> {
    /// Its name.
    #[schemars(schema_with = "schemas::id_of")]
    id: JobId,
    /// Where it stands; `completed` is accepted.
    #[schemars(schema_with = "schemas::status")]
    status: &'static str,
    /// The language that it was accepted with.
    language: Cow<'a, str>,
    /// When it was accepted.
    #[schemars(schema_with = "schemas::moment")]
    queued_at: String,
    /// When a worker took it.
    #[schemars(schema_with = "schemas::moment_or_null")]
    started_at: Option<String>,
    /// When it ended.
    #[schemars(schema_with = "schemas::moment_or_null")]
    ended_at: Option<String>,
    /// From acceptance to the start of work, or to the end where there was none, in microseconds.
    queue_us: Option<u64>,
    /// From the start of work to the end, containers, compilation and all, in microseconds.
    run_us: Option<u64>,
}

impl<'a> Head<'a> {
    /// That of this submission.
    pub fn of(submission: &'a Submission) -> Self {
        let Submission { id, language, state, queued_at, started_at, completed_at, .. } = submission;
        Self {
            id: *id,
            status: state.as_str(),
            language: language.into(),
            queued_at: moment(*queued_at),
            started_at: started_at.map(moment),
            ended_at: completed_at.map(moment),
            queue_us: started_at.or(*completed_at).map(|at| microseconds(*queued_at, at)),
            run_us: started_at.zip(*completed_at).map(|(from, to)| microseconds(from, to)),
        }
    }

    /// The same for longer than the submission is at hand.
    pub fn owned(self) -> Head<'static> {
        Head { language: self.language.into_owned().into(), ..self }
    }
}

/// A submission, at any time.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Submitted")]
pub struct Document<'a> {
    #[serde(flatten)]
    head: Head<'a>,
    /// Once it has ended.
    #[serde(flatten)]
    end: Option<End<'a>>,
}

/// What is known once it has ended.
#[derive(Debug, Serialize, JsonSchema)]
struct End<'a> {
    /// How it ended, in one word.
    #[schemars(schema_with = "schemas::verdict")]
    verdict: &'static str,
    /// The limit behind the verdict.
    limit: Option<&'static str>,
    /// With `internal_error`: what went wrong with the service, or with the client's checker.
    error: Option<String>,
    /// Wall-clock time of all steps together, in microseconds.
    wall_us: Option<u64>,
    /// Processor time of all steps together, in microseconds.
    cpu_us: Option<u64>,
    /// The most memory that one step held.
    memory_bytes: Option<u64>,
    /// How the output of its runs was kept.
    streams: Option<Streams>,
    /// The OCI runtime, in its own words; null where nothing was carried out.
    runtime: Option<&'a str>,
    /// What its steps ran in; null where nothing was carried out.
    image: Option<Image<'a>>,
    /// The compile step; null where there was none.
    compile: Option<Step>,
    /// The run; null where there was none, and where the client gave tests.
    run: Option<Ran<'a>>,
    /// In place of `run`, where the client gave tests.
    #[serde(flatten)]
    tests: Option<Tests<'a>>,
}

/// An image.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ImageOf")]
struct Image<'a> {
    /// Its name.
    name: &'a str,
    /// The digest of its recipe and content.
    digest: &'a str,
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Step {
    /// How it ended, in one word.
    #[schemars(schema_with = "schemas::verdict")]
    verdict: &'static str,
    /// The limit behind the verdict.
    limit: Option<&'static str>,
    /// The exit status of its process; null where a signal, the service or the limit of memory ended it.
    exit_status: Option<u8>,
    /// The name of the signal that ended its process.
    signal: Option<String>,
    /// What it printed on standard output, as far as it is kept; of merged streams all that it printed.
    #[schemars(with = "String")]
    stdout: Slot,
    /// How that stands there.
    stdout_encoding: Encoding,
    /// Whether it printed more there than is kept.
    stdout_truncated: bool,
    /// What it printed on standard error, as far as it is kept.
    #[schemars(with = "String")]
    stderr: Slot,
    /// How that stands there.
    stderr_encoding: Encoding,
    /// Whether it printed more there than is kept.
    stderr_truncated: bool,
    /// Bytes printed, kept or not.
    output_bytes: u64,
    /// Its wall-clock time, in microseconds.
    wall_us: Option<u64>,
    /// Its processor time, in microseconds.
    cpu_us: Option<u64>,
    /// The most memory that it held.
    memory_bytes: Option<u64>,
    /// What became of each limit.
    limits: Limits,
    /// Limits that can be passed on this machine.
    not_enforced: Vec<&'static str>,
}

/// How bytes stand in a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Encoding {
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "base64")]
    Base64,
}

/// Every limit of a step, by the names that requests have.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StepLimitsInForce")]
struct Limits {
    /// Wall-clock time from the start of the program.
    wall_ms: Limit,
    /// Processor time of all its processes together.
    cpu_ms: Limit,
    /// Share of one processor; used is the average over the step. Null where it is not held to one.
    cpu_percent: Option<Limit>,
    /// Memory of all its processes together.
    memory_bytes: Limit,
    /// Processes and threads alive at once.
    processes: Limit,
    /// Open files of each process.
    open_files: Limit,
    /// Stack of the main thread.
    stack_bytes: Limit,
    /// Largest file.
    file_bytes: Limit,
    /// What is kept of both streams together; used is what was printed.
    output_bytes: Limit,
    /// Size of `/tmp`.
    tmp_bytes: Limit,
    /// Inodes of `/tmp`.
    tmp_inodes: Limit,
}

/// One of them. What nobody could tell is null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LimitInForce")]
struct Limit {
    /// What was allowed.
    limit: u64,
    /// What was used, at its highest.
    used: Option<u64>,
    /// Who saw to it.
    enforced_by: Enforcer,
    /// Whether it ended the step, refused it something or held it back.
    fired: Option<bool>,
}

/// A place for output: a text that occurs nowhere else in the document.
#[derive(Debug)]
pub struct Slot(String);

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Where the slots of a document are.
pub struct Slots {
    /// Nobody who submits can know it.
    secret: String,
    parts: Vec<Part>,
}

impl Slots {
    fn new() -> Self {
        Self { secret: Uuid::new_v4().simple().to_string(), parts: Vec::new() }
    }

    /// A place for one stream of a step.
    fn take(&mut self, step: &StepReport, printed: Printed) -> (Slot, Encoding) {
        self.place(kept(step, printed.stream), printed)
    }

    /// A place for these bytes, which stand there in the report.
    pub fn place(&mut self, bytes: &[u8], printed: Printed) -> (Slot, Encoding) {
        let text = std::str::from_utf8(bytes).is_ok();
        self.parts.push(if text { Part::Text(printed) } else { Part::Base64(printed) });
        (Slot(self.secret.clone()), if text { Encoding::Utf8 } else { Encoding::Base64 })
    }

    /// The document cut at its slots, which stand in it in the order in which they were taken.
    fn cut(self, json: &str) -> Vec<Part> {
        let mut parts = Vec::with_capacity(2 * self.parts.len() + 1);
        let mut between = json.split(&self.secret).map(|text| Part::Json(text.as_bytes().to_vec()));
        parts.extend(between.next());
        for (slot, json) in self.parts.into_iter().zip(between) {
            parts.extend([slot, json]);
        }
        parts
    }
}

/// The parts of a submission's document, and how many bytes of output they name.
///
/// # Errors
/// None that can happen: every value has a form in JSON.
pub fn parts(submission: &Submission) -> serde_json::Result<Vec<Part>> {
    let mut slots = Slots::new();
    let mut json = serde_json::to_string(&document(submission, &mut slots))?;
    json.push('\n');
    Ok(slots.cut(&json))
}

/// The whole of it at once, a line for each field: for who has a submission and no service.
///
/// # Errors
/// As [`parts`].
pub fn in_lines(submission: Submission) -> serde_json::Result<Vec<u8>> {
    let mut slots = Slots::new();
    let mut json = serde_json::to_string_pretty(&document(&submission, &mut slots))?;
    json.push('\n');
    Ok(reply::whole(Arc::new(submission), slots.cut(&json)))
}

fn document<'a>(submission: &'a Submission, slots: &mut Slots) -> Document<'a> {
    let end = submission.report.as_ref().map(|report| end(report, slots));
    Document { head: Head::of(submission), end }
}

fn end<'a>(report: &'a JobReport, slots: &mut Slots) -> End<'a> {
    let how = ending(report);
    let steps = || report.compile.iter().chain(&report.runs).map(|step| &step.evidence);
    let about = report.about.as_ref();
    // As they stand in the document.
    let compile = report.compile.as_ref().map(|compile| step(compile, At::Compile, slots));
    let alone = report.runs.first().filter(|_| !about.is_some_and(|about| about.tests));
    let run = alone.map(|run| judged::ran(report, run, 0, slots));
    End {
        verdict: how.verdict,
        limit: how.step.and_then(|step| step.of(report)).and_then(|step| verdict::limit(step.verdict)),
        error: how.error,
        wall_us: total(steps().map(|seen| seen.elapsed.map(|t| t.0))),
        cpu_us: total(steps().map(|seen| seen.cpu_time.map(|t| t.0))),
        memory_bytes: steps().filter_map(|seen| seen.memory_peak.map(|b| b.0)).max(),
        streams: about.map(|about| about.streams),
        runtime: about.and_then(|about| about.runtime.as_deref()),
        image: about.and_then(|About { image, image_digest, .. }| {
            Some(Image { name: image.as_deref()?, digest: image_digest.as_deref()? })
        }),
        compile,
        run,
        tests: judged::tests(report, slots),
    }
}

/// Absent when one of them is, or when there is none: a sum of what is not known is not known.
pub(super) fn total(values: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let all: Option<Vec<u64>> = values.collect();
    all.filter(|all| !all.is_empty()).map(|all| all.iter().sum())
}

pub fn step(report: &StepReport, at: At, slots: &mut Slots) -> Step {
    let evidence = &report.evidence;
    let (stdout, stdout_encoding) = slots.take(report, Printed { step: at, stream: Stream::Out });
    let (stderr, stderr_encoding) = slots.take(report, Printed { step: at, stream: Stream::Err });
    let bounds = bounds(report);
    Step {
        verdict: report.verdict.as_str(),
        limit: verdict::limit(report.verdict),
        exit_status: exit_status(report),
        signal: match evidence.wait {
            Some(WaitStatus::Signaled(number)) => Some(verdict::signal(number)),
            _ => None,
        },
        stdout,
        stdout_encoding,
        stdout_truncated: evidence.output.lost[0] > 0,
        stderr,
        stderr_encoding,
        stderr_truncated: evidence.output.lost[1] > 0,
        output_bytes: evidence.output.seen,
        wall_us: evidence.elapsed.map(|t| t.0),
        cpu_us: evidence.cpu_time.map(|t| t.0),
        memory_bytes: evidence.memory_peak.map(|b| b.0),
        limits: limits(&bounds, evidence.elapsed),
        not_enforced: bounds.weak(),
    }
}

/// As the program itself had it, whatever the verdict; what was killed has none.
const fn exit_status(report: &StepReport) -> Option<u8> {
    match (report.evidence.wait, report.verdict) {
        (Some(WaitStatus::Exited(status)), _) => Some(status),
        (None, Verdict::ExitStatus(status) | Verdict::CompileError(status)) => Some(status),
        _ => None,
    }
}

/// `took` is its time where that was measured more finely.
fn limits(bounds: &Bounds, took: Option<Elapsed>) -> Limits {
    Limits {
        // Both rounded up, so that what is past its limit is shown as more.
        wall_ms: Limit {
            used: took.map(|t| t.0.div_ceil(1000)).or(bounds.wall.used.map(|t| t.0)),
            ..limit(bounds.wall, |t| t.0)
        },
        cpu_ms: limit(bounds.cpu_time, |t| t.0.div_ceil(1000)),
        cpu_percent: bounds.cpu_share.map(|share| limit(share, |share| share.0.into())),
        memory_bytes: limit(bounds.memory, |b| b.0),
        processes: limit(bounds.pids, |n| n.0.into()),
        open_files: limit(bounds.open_files, |n| n.0.into()),
        stack_bytes: limit(bounds.stack, |b| b.0),
        file_bytes: limit(bounds.file_size, |b| b.0),
        output_bytes: limit(bounds.output, |b| b.0),
        tmp_bytes: limit(bounds.tmp, |b| b.0),
        tmp_inodes: limit(bounds.tmp_inodes, |n| n.0),
    }
}

fn limit<T>(bound: Bound<T>, number: impl Fn(T) -> u64) -> Limit {
    let Bound { bound, used, enforced_by, fired } = bound;
    Limit { limit: number(bound), used: used.map(number), enforced_by, fired }
}
