//! The workers: each takes a job, runs it, hands the report in and clears up, until the ledger gives no more.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::retry;
use super::sandbox::Sandbox;
use crate::health::Health;
use crate::model::{Fault, Job, JobReport, StepReport, Verdict};
use crate::service::{Ledger, Taken};
use crate::telemetry::Tag;

/// A fixed number of workers over one sandbox.
#[derive(Debug)]
pub struct Pool {
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Pool {
    /// Starts the workers; `health` learns how each job ended.
    #[must_use]
    pub fn start(workers: NonZeroUsize, sandbox: &Arc<Sandbox>, ledger: &Arc<Ledger>, health: &Arc<Health>) -> Self {
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(retry::while_broken(Arc::clone(sandbox), Arc::clone(health), stop.clone()));
        for number in 1..=workers.get() {
            tasks.spawn(work(number, Arc::clone(sandbox), Arc::clone(ledger), Arc::clone(health)));
        }
        tasks.close();
        Self { tasks, stop }
    }

    /// Waits until every worker has ended: the ledger must be closed for that.
    pub async fn drained(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

async fn work(number: usize, sandbox: Arc<Sandbox>, ledger: Arc<Ledger>, health: Arc<Health>) {
    let tag = Tag::Worker(number);
    while let Some(Taken { job, cancel }) = ledger.take().await {
        tracing::info!(%tag, "{} takes {}", job.language, job.id);
        let id = job.id;
        // In a task of its own: should there be a mistake of ours that panics, this job ends with a fault and the worker
        // goes on.
        let own = Arc::clone(&sandbox);
        let carried_out = tokio::spawn(async move {
            let (report, leftovers) = own.execute(&job, &cancel, None).await;
            log(&job, &report);
            (report, leftovers)
        });
        match carried_out.await {
            Ok((report, leftovers)) => {
                // Before the ending is visible: who saw the job can rely on what readiness says.
                health.saw(&report);
                ledger.finish(id, report).await;
                leftovers.clear().await;
            }
            Err(error) => {
                tracing::error!(%tag, "job {id} was dropped: {error}");
                let report = JobReport::faulted(Fault::NoEvidence);
                health.saw(&report);
                ledger.finish(id, report).await;
            }
        }
    }
    tracing::debug!(%tag, "ended");
}

fn log(job: &Job, report: &JobReport) {
    let language = Tag::Language(&job.language, job.id);
    let compile = report.compile.iter().map(|step| ("compile", step));
    for (name, step) in compile.chain(report.runs.iter().map(|step| ("run", step))) {
        let StepReport { verdict, evidence, limits, .. } = step;
        tracing::info!(
            tag = %language,
            "{name}: {verdict:?}, wall {} ms, cpu {} us, memory {} bytes, output {} bytes",
            number(evidence.wall.map(|t| t.0)),
            number(evidence.cpu_time.map(|t| t.0)),
            number(evidence.memory_peak.map(|b| b.0)),
            evidence.output.seen,
        );
        if *verdict == Verdict::TimeLimit {
            tracing::info!(tag = %Tag::Timeout(job.id), "{name} ended after {} s", limits.wall);
        }
    }
}

/// What could not be read is not zero.
fn number(seen: Option<u64>) -> String {
    seen.map_or_else(|| "unknown".to_owned(), |seen| seen.to_string())
}
