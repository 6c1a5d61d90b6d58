//! What a step printed, by its place in a report: so that a reply can name it without holding it twice.

use crate::model::{JobReport, StepReport, Submission};

/// Output of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Printed {
    pub step: Step,
    pub stream: Stream,
}

/// A step of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Compile,
    /// The run at this place.
    Run(usize),
}

/// One of its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

impl Step {
    /// Its part of the report, if there is one.
    pub fn of(self, report: &JobReport) -> Option<&StepReport> {
        match self {
            Self::Compile => report.compile.as_ref(),
            Self::Run(number) => report.runs.get(number),
        }
    }
}

impl Printed {
    /// What it is; never more than the step's limit, whatever was captured. Nothing where there is no such step.
    pub fn of(self, submission: &Submission) -> &[u8] {
        let step = submission.report.as_ref().and_then(|report| self.step.of(report));
        step.map(|step| kept(step, self.stream)).unwrap_or_default()
    }
}

/// One stream of a step, within the step's limit.
pub fn kept(step: &StepReport, stream: Stream) -> &[u8] {
    let captured = &step.evidence.output;
    let limit = usize::try_from(step.limits.output.0).unwrap_or(usize::MAX);
    let stdout = &captured.stdout[..captured.stdout.len().min(limit)];
    match stream {
        Stream::Out => stdout,
        Stream::Err => &captured.stderr[..captured.stderr.len().min(limit - stdout.len())],
    }
}
