//! The tests of a submission, as its document shows them.

use schemars::JsonSchema;
use serde::Serialize;

use super::document::{Encoding, Slot, Slots, Step, step};
use super::openapi::schemas;
use super::verdict::NOT_RUN;
use crate::http::printed::{Printed, Step as At, Stream};
use crate::model::{About, Calls, Collected, JobReport, NotCollected, StepReport, Verdict};
use crate::report::{RefusedCall, refused};

/// All of them, and how many ended how.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestsShown")]
pub struct Tests<'a> {
    /// Each of them, in their order.
    tests: Vec<Test<'a>>,
    #[serde(flatten)]
    counts: Counts,
}

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestCounts")]
pub struct Counts {
    /// Tests that are accepted.
    pub passed: usize,
    /// Tests that are not.
    pub failed: usize,
    /// Tests that did not take place.
    pub not_run: usize,
}

impl Counts {
    /// Those of a report; `None` where the client gave no tests, or none is known of.
    pub fn of(report: &JobReport) -> Option<Self> {
        let About { runs, .. } = report.about.as_ref().filter(|about| about.tests)?;
        let passed = report.runs.iter().filter(|run| run.verdict == Verdict::Ok).count();
        let done = report.runs.len();
        Some(Self { passed, failed: done - passed, not_run: runs.len().saturating_sub(done) })
    }
}

/// One test: what its run has, or that there was none.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TestShown")]
struct Test<'a> {
    /// The client's name for it.
    name: Option<&'a str>,
    #[serde(flatten)]
    run: Run<'a>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "TestRun")]
enum Run<'a> {
    Done(Box<Ran<'a>>),
    Not {
        /// It did not take place.
        #[schemars(schema_with = "schemas::not_run")]
        verdict: &'static str,
        /// Always null.
        limit: Option<&'static str>,
    },
}

/// A run that took place: its step, and the files that were asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ran<'a> {
    #[serde(flatten)]
    step: Step,
    /// What the checker did, where one was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    checker: Option<Step>,
    /// Absent where none were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<File<'a>>,
    /// Absent where the submission did not ask with `diagnose`.
    #[serde(flatten)]
    refused: Option<Refused<'a>>,
}

/// What the filter refused it.
#[derive(Debug, Serialize, JsonSchema)]
struct Refused<'a> {
    /// The most frequent first; null where nobody could look.
    refused_calls: Option<Vec<RefusedCall<'a>>>,
    /// Whether there may have been others.
    refused_calls_truncated: bool,
}

impl<'a> Refused<'a> {
    fn of(calls: &'a Calls) -> Self {
        Self { refused_calls: refused(calls), refused_calls_truncated: calls.truncated() }
    }
}

/// A file that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CollectedFile")]
struct File<'a> {
    /// As it was asked for, below `/tmp`.
    path: &'a str,
    /// What is in it, as far as it is kept.
    #[schemars(with = "Option<String>")]
    content: Option<Slot>,
    /// How that stands there.
    encoding: Option<Encoding>,
    /// How long it is.
    size_bytes: Option<u64>,
    /// Whether more is in it than is kept.
    truncated: bool,
    /// Why there is no content.
    missing: Option<NotCollected>,
}

/// The run of this number.
pub fn ran<'a>(report: &'a JobReport, run: &'a StepReport, number: usize, slots: &mut Slots) -> Ran<'a> {
    let at = At::Run(number);
    let done = step(run, at, slots);
    let checked = At::Checker(number);
    let checker = checked.of(report).map(|checker| step(checker, checked, slots));
    let files = at.files(report).iter().enumerate().map(|(number, file)| {
        let Collected { path, bytes, size, missing } = file;
        let printed = Printed { step: at, stream: Stream::File(number) };
        let place = missing.is_none().then(|| slots.place(bytes, printed));
        let (content, encoding) = place.map_or((None, None), |(slot, encoding)| (Some(slot), Some(encoding)));
        let size_bytes = content.is_some().then_some(*size);
        File { path, content, encoding, size_bytes, truncated: *size > bytes.len() as u64, missing: *missing }
    });
    let refused = run.evidence.calls.as_ref().map(Refused::of);
    Ran { step: done, checker, files: files.collect(), refused }
}

/// The tests of a report; `None` where the client gave none, or none is known of.
pub fn tests<'a>(report: &'a JobReport, slots: &mut Slots) -> Option<Tests<'a>> {
    let counts = Counts::of(report)?;
    let runs = report.about.iter().flat_map(|about| &about.runs);
    let tests = runs.enumerate().map(|(number, beside)| {
        let done = report.runs.get(number).map(|run| Run::Done(Box::new(ran(report, run, number, slots))));
        Test { name: beside.name.as_deref(), run: done.unwrap_or(Run::Not { verdict: NOT_RUN, limit: None }) }
    });
    Some(Tests { tests: tests.collect(), counts })
}
