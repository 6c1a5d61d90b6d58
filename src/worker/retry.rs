//! While no job can be carried out, somebody has to try: whoever looks at readiness may send no more jobs. This runs the
//! self-test again, now and then, until it succeeds or a job does.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::sandbox::Sandbox;
use super::selftest;
use crate::health::Health;
use crate::telemetry::chain;

/// The pause before each attempt.
const AGAIN: Duration = Duration::from_secs(10);

/// Ends with `stop`, after the attempt under way.
pub(super) async fn while_broken(sandbox: Arc<Sandbox>, health: Arc<Health>, stop: CancellationToken) {
    let next = async || {
        health.breaks().await;
        tokio::time::sleep(AGAIN).await;
    };
    while stop.run_until_cancelled(next()).await.is_some() {
        if health.broken().is_none() {
            continue;
        }
        match selftest::run(&sandbox).await {
            Ok(()) => health.works(),
            Err(error) => tracing::warn!("still not ready: {}", chain(&error)),
        }
    }
}
