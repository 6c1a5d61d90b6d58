//! What a start finds in the store of the service before it.
//!
//! Notes of a start are lazy, so that no job waits for one: a service that was cut off may have had jobs whose start is
//! not in the store. The jobs of an owner are taken in order and every ending makes the notes before it durable, so these
//! are among the first of each owner that have not ended, no more than it had workers. One attempt is put down for each, and
//! what has an attempt does not run before the next one is durable. So no job runs more than [`ATTEMPTS`] times, however often and soon it takes the
//! service down.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use tracing::{info, warn};

use super::audit;
use super::line::BATCH;
use crate::model::{Fault, JobReport, State, Submission};
use crate::store::{Inventory, Kept, Store, StoreError};
use crate::telemetry::Tag;

/// How often a job is run, when the service is cut off each time.
pub(super) const ATTEMPTS: u8 = 3;

/// Puts back what was running, ends what was cut off too often, and tells what there is.
pub(super) async fn take_up(store: &dyn Store) -> Result<Inventory, StoreError> {
    let left = store.inventory().await?;
    // All are handed over before any is waited for, so that the store makes them durable together.
    let (mut changes, mut cut) = (Vec::new(), Vec::new());
    for waiting in first(store, left.workers).await? {
        let noted = waiting.submission.started_at.is_some();
        let doubtful = !left.orderly && !noted && waiting.attempts == 0;
        let id = waiting.submission.id;
        if noted && waiting.attempts >= ATTEMPTS {
            warn!(tag = %Tag::Result(id), "it was cut off {} times and does not run again", waiting.attempts);
            let report = JobReport::faulted(Fault::Interrupted);
            // A job that cannot be read is ended all the same, and nothing is told of its tests.
            let report = store.job(id).await.map_or(report.clone(), |job| report.before(&job));
            let ended = Arc::new(interrupted(waiting, report));
            changes.push(store.ended(Arc::clone(&ended)));
            cut.push(ended);
        } else if noted || doubtful {
            if noted {
                info!(tag = %Tag::Queue, "{id} was cut off and waits again");
            }
            changes.push(store.put_back(id, waiting.attempts.max(u8::from(doubtful))));
        }
    }
    for change in changes {
        change.await?;
    }
    cut.iter().for_each(|ended| audit::ended(ended, true));
    store.inventory().await
}

/// The first `most` of each owner that have not ended.
async fn first(store: &dyn Store, most: usize) -> Result<Vec<Kept>, StoreError> {
    let (mut first, mut seen) = (Vec::new(), HashMap::new());
    let mut last = 0;
    loop {
        let next = store.line(last, BATCH).await?;
        let more = next.len() == BATCH;
        for kept in next {
            last = kept.place;
            let count: &mut usize = seen.entry(kept.submission.owner.clone()).or_default();
            *count += 1;
            if *count <= most {
                first.push(kept);
            }
        }
        if !more {
            return Ok(first);
        }
    }
}

fn interrupted(waiting: Kept, report: JobReport) -> Submission {
    let Submission { queued_at, started_at, .. } = waiting.submission;
    let end = SystemTime::now().max(started_at.unwrap_or(queued_at));
    Submission { state: State::Failed, completed_at: Some(end), report: Some(report), ..waiting.submission }
}
