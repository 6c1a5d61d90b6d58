//! The tests of a submission, as its document shows them.

use serde::Serialize;

use super::document::{Slots, Step, step};
use super::verdict::NOT_RUN;
use crate::http::printed::Step as At;
use crate::model::{About, JobReport, Verdict};

/// All of them, and how many ended how.
#[derive(Debug, Serialize)]
pub struct Tests<'a> {
    tests: Vec<Test<'a>>,
    passed: usize,
    failed: usize,
    not_run: usize,
}

/// One test: what its run has, or that there was none.
#[derive(Debug, Serialize)]
struct Test<'a> {
    name: Option<&'a str>,
    #[serde(flatten)]
    run: Run,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Run {
    Done(Box<Step>),
    Not { verdict: &'static str, limit: Option<&'static str> },
}

/// The tests of a report; `None` where the client gave none, or none is known of.
pub fn tests<'a>(report: &'a JobReport, slots: &mut Slots) -> Option<Tests<'a>> {
    let About { runs, .. } = report.about.as_ref().filter(|about| about.tests)?;
    let tests = runs.iter().enumerate().map(|(number, beside)| {
        let done = report.runs.get(number).map(|run| Run::Done(Box::new(step(run, At::Run(number), slots))));
        Test { name: beside.name.as_deref(), run: done.unwrap_or(Run::Not { verdict: NOT_RUN, limit: None }) }
    });
    let tests = tests.collect();
    let passed = report.runs.iter().filter(|run| run.verdict == Verdict::Ok).count();
    let done = report.runs.len();
    Some(Tests { tests, passed, failed: done - passed, not_run: runs.len().saturating_sub(done) })
}
