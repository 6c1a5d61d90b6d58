//! The workers: each takes a job, runs it, hands the report in and clears up, until the ledger gives no more.

use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};

use super::capture::Live;
use super::retry;
use super::sandbox::{Leftovers, Sandbox};
use crate::health::Health;
use crate::model::{Fault, Job, JobReport, StepReport, Verdict};
use crate::service::{Ledger, Taken};
use crate::telemetry::{self, Tag};

/// Jobs of each worker whose containers are being cleared away at the same time.
const CLEARING: usize = 2;
/// How long what a job left waits for its answer to be stored.
const ANSWER: Duration = Duration::from_millis(100);

/// Runs of one job that the log tells of.
const LOGGED: usize = 16;

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
        let clearing = Arc::new(Semaphore::new(workers.get() * CLEARING));
        for number in 1..=workers.get() {
            let worker = Worker {
                number,
                sandbox: Arc::clone(sandbox),
                ledger: Arc::clone(ledger),
                health: Arc::clone(health),
                clearing: Arc::clone(&clearing),
                tasks: tasks.clone(),
            };
            tasks.spawn(worker.work());
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

/// One worker.
#[derive(Debug)]
struct Worker {
    number: usize,
    sandbox: Arc<Sandbox>,
    ledger: Arc<Ledger>,
    health: Arc<Health>,
    clearing: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Worker {
    async fn work(self) {
        let tag = Tag::Worker(self.number);
        while let Some(Taken { job, owner, cancel, feed }) = self.ledger.take().await {
            let id = job.id;
            let span = telemetry::job(id, &job.language, owner.as_ref());
            span.in_scope(|| tracing::info!(%tag, "{} takes {id}", job.language));
            // In a task of its own: should there be a mistake of ours that panics, this job ends with a fault and the
            // worker goes on.
            let own = Arc::clone(&self.sandbox);
            let dropped = JobReport::faulted(Fault::NoEvidence).before(&job);
            let carry_out = async move {
                let (report, leftovers) = own.execute(&job, &cancel, Live { told: None, kept: Some(&feed) }).await;
                log(&job, &report);
                (report, leftovers)
            };
            let (report, leftovers) = match tokio::spawn(carry_out.instrument(span.clone())).await {
                Ok((report, leftovers)) => (report, Some(leftovers)),
                Err(error) => {
                    span.in_scope(|| tracing::error!(%tag, "job {id} was dropped: {error}"));
                    (dropped, None)
                }
            };
            // Before the ending is visible: who saw the job can rely on what readiness says.
            self.health.saw(&report);
            // The answer first; but what the job left does not wait for a disk that is full.
            let mut finished = pin!(self.ledger.finish(id, report).instrument(span.clone()));
            let stored = timeout(ANSWER, finished.as_mut()).await.is_ok();
            if let Some(leftovers) = leftovers {
                self.clear(leftovers, span).await;
            }
            if !stored {
                finished.await;
            }
        }
        tracing::debug!(%tag, "ended");
    }

    /// Has it cleared away while the next job runs; waits only where too much waits to be cleared already.
    async fn clear(&self, leftovers: Leftovers, span: Span) {
        let permit = Arc::clone(&self.clearing).acquire_owned().await;
        let clear = async move {
            leftovers.clear().await;
            drop(permit);
        };
        self.tasks.spawn(clear.instrument(span));
    }
}

fn log(job: &Job, report: &JobReport) {
    let language = Tag::Language(&job.language, job.id);
    let compile = report.compile.iter().map(|step| ("compile", step));
    for (name, step) in compile.chain(report.runs.iter().take(LOGGED).map(|step| ("run", step))) {
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
