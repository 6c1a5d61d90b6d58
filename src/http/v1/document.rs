//! A submission as the routes below `/v1/` show it. The types are the form of the JSON; what a step printed stands in it as
//! a [`Slot`] until the whole is cut into parts, so that output never lies in memory twice.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use uuid::Uuid;

use super::judged::{self, Ran, Tests};
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
    #[schemars(schema_with = "schemas::id_of")]
    id: JobId,
    #[schemars(schema_with = "schemas::status")]
    status: &'static str,
    language: Cow<'a, str>,
    #[schemars(schema_with = "schemas::moment")]
    queued_at: String,
    #[schemars(schema_with = "schemas::moment_or_null")]
    started_at: Option<String>,
    #[schemars(schema_with = "schemas::moment_or_null")]
    ended_at: Option<String>,
    /// From acceptance to the start of work, or to the end where there was none.
    queue_us: Option<u64>,
    /// From the start of work to the end: containers, compilation and all.
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
    #[schemars(schema_with = "schemas::verdict")]
    verdict: &'static str,
    /// The limit behind the verdict.
    limit: Option<&'static str>,
    /// What went wrong with the service, or with the client's checker.
    error: Option<String>,
    /// All steps together; memory is that of the step that held most.
    wall_us: Option<u64>,
    cpu_us: Option<u64>,
    memory_bytes: Option<u64>,
    streams: Option<Streams>,
    runtime: Option<&'a str>,
    image: Option<Image<'a>>,
    compile: Option<Step>,
    run: Option<Ran<'a>>,
    /// In place of `run`, where the client gave tests.
    #[serde(flatten)]
    tests: Option<Tests<'a>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ImageOf")]
struct Image<'a> {
    name: &'a str,
    digest: &'a str,
}

/// One step.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Step {
    #[schemars(schema_with = "schemas::verdict")]
    verdict: &'static str,
    limit: Option<&'static str>,
    exit_status: Option<u8>,
    signal: Option<String>,
    #[schemars(with = "String")]
    stdout: Slot,
    stdout_encoding: Encoding,
    stdout_truncated: bool,
    #[schemars(with = "String")]
    stderr: Slot,
    stderr_encoding: Encoding,
    stderr_truncated: bool,
    /// Bytes printed, kept or not.
    output_bytes: u64,
    wall_us: Option<u64>,
    cpu_us: Option<u64>,
    memory_bytes: Option<u64>,
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
    wall_ms: Limit,
    cpu_ms: Limit,
    cpu_percent: Option<Limit>,
    memory_bytes: Limit,
    processes: Limit,
    open_files: Limit,
    stack_bytes: Limit,
    file_bytes: Limit,
    output_bytes: Limit,
    tmp_bytes: Limit,
    tmp_inodes: Limit,
}

/// One of them. What nobody could tell is null.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LimitInForce")]
struct Limit {
    limit: u64,
    used: Option<u64>,
    enforced_by: Enforcer,
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

const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// RFC 3339, UTC, microseconds.
pub fn moment(time: SystemTime) -> String {
    // Only a year beyond 9999 cannot be shown so.
    OffsetDateTime::from(time).format(MOMENT).unwrap_or_default()
}

/// Between two moments as they are shown, so that who subtracts these has the same.
fn microseconds(from: SystemTime, to: SystemTime) -> u64 {
    let [from, to] = [from, to].map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros());
    u64::try_from(to.saturating_sub(from)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_span_is_the_difference_of_the_moments_that_are_shown() {
        let at = |nanos: u64| UNIX_EPOCH + Duration::from_nanos(1_774_449_000_000_000_000 + nanos);
        let (from, to) = (at(1_999), at(3_001));
        assert!(moment(from).ends_with(".000001Z") && moment(to).ends_with(".000003Z"));
        assert_eq!((microseconds(from, to), microseconds(to, from)), (2, 0));
    }
}
