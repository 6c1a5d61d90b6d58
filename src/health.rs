//! Whether jobs can be carried out at all. Counts the jobs in a row that failed through a fault of ours; from a number
//! on the service is not ready, until one could be carried out again. Jobs are taken all the same: each is a try.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::{Fault, JobReport, Outcome};

/// What is known from the jobs so far.
#[derive(Debug)]
pub struct Health {
    most: usize,
    inner: Mutex<Inner>,
    broke: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    faults: usize,
    last: Option<Fault>,
}

/// So many jobs in a row could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{faults} jobs in a row could not be carried out; the last: {last}")]
pub struct Broken {
    faults: usize,
    last: Fault,
}

impl Broken {
    /// As it is told after one job.
    #[must_use]
    pub const fn sample(last: Fault) -> Self {
        Self { faults: 1, last }
    }
}

impl Health {
    /// Not ready from `most` faults in a row on.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, inner: Mutex::default(), broke: Notify::new() }
    }

    /// A job ended so. What says nothing of the sandbox changes nothing: a job that was cancelled before it began, a
    /// language that is gone, a store that failed.
    pub fn saw(&self, report: &JobReport) {
        match &report.outcome {
            Outcome::Ran | Outcome::CompileFailed | Outcome::OutOfTime(_) | Outcome::NoChecker(_) => self.works(),
            Outcome::Faulted(fault @ (Fault::Prepare | Fault::Runtime | Fault::Limits | Fault::NoEvidence)) => {
                self.failed(fault.clone());
            }
            Outcome::Cancelled | Outcome::Faulted(_) => {}
        }
    }

    /// Containers could be made and run.
    pub fn works(&self) {
        let mut inner = self.lock();
        if inner.faults >= self.most {
            tracing::info!("ready again after {} jobs that could not be carried out", inner.faults);
        }
        *inner = Inner::default();
    }

    fn failed(&self, fault: Fault) {
        let mut inner = self.lock();
        inner.faults += 1;
        inner.last = Some(fault);
        let now = inner.faults == self.most;
        drop(inner);
        if now && let Some(broken) = self.broken() {
            tracing::error!("not ready: {broken}");
            self.broke.notify_one();
        }
    }

    /// Why the service is not ready, if it is not.
    #[must_use]
    pub fn broken(&self) -> Option<Broken> {
        let inner = self.lock();
        let last = inner.last.clone().filter(|_| inner.faults >= self.most)?;
        Some(Broken { faults: inner.faults, last })
    }

    /// Waits until it is not ready. For one task.
    pub async fn breaks(&self) {
        while self.broken().is_none() {
            self.broke.notified().await;
        }
    }

    /// Nothing inside the lock can panic half-way, so a poisoned lock still guards a whole value.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_faults_in_a_row_count_and_one_job_that_ran_ends_it() {
        let health = Health::new(3);
        let fault = || health.saw(&JobReport::faulted(Fault::Runtime));
        let ran = |outcome| health.saw(&JobReport { outcome, compile: None, runs: vec![], about: None });
        for outcome in [Outcome::Ran, Outcome::CompileFailed] {
            fault();
            fault();
            ran(outcome.clone());
            fault();
            fault();
            assert_eq!(health.broken(), None);
            // These say nothing.
            health.saw(&JobReport::cancelled());
            for other in [Fault::LanguageGone, Fault::Store, Fault::Interrupted] {
                health.saw(&JobReport::faulted(other));
            }
            assert_eq!(health.broken(), None);
            health.saw(&JobReport::faulted(Fault::Limits));
            health.breaks().await;
            let said = health.broken().unwrap().to_string();
            assert_eq!(said, "3 jobs in a row could not be carried out; the last: a limit could not be enforced");
            ran(outcome);
            assert_eq!(health.broken(), None);
        }
    }
}
