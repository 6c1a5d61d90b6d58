//! What a step printed, by its place in a report: so that a reply can name it without holding it twice.

use crate::model::{Collected, JobReport, StepReport, Submission};

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
    /// The checker of that run.
    Checker(usize),
}

/// One of its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
    /// A file that a run has left, by its place.
    File(usize),
}

impl Step {
    /// Its part of the report, if there is one.
    pub fn of(self, report: &JobReport) -> Option<&StepReport> {
        match self {
            Self::Compile => report.compile.as_ref(),
            Self::Run(number) => report.runs.get(number),
            Self::Checker(number) => report.about.as_ref()?.runs.get(number)?.checker.as_ref(),
        }
    }

    /// The files that it has left.
    pub fn files(self, report: &JobReport) -> &[Collected] {
        let (Self::Run(number), Some(about)) = (self, &report.about) else { return &[] };
        about.runs.get(number).map(|beside| &beside.files[..]).unwrap_or_default()
    }
}

impl Printed {
    /// What it is; never more than the step's limit, whatever was captured. Nothing where there is no such step.
    pub fn of(self, submission: &Submission) -> &[u8] {
        let Some(report) = &submission.report else { return &[] };
        match self.stream {
            Stream::File(number) => self.step.files(report).get(number).map(|file| &file.bytes[..]).unwrap_or_default(),
            stream => self.step.of(report).map(|step| kept(step, stream)).unwrap_or_default(),
        }
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
        // It is none of its streams.
        Stream::File(_) => &[],
    }
}
