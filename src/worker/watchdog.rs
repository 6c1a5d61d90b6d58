//! Ends a step that went over a limit which the kernel does not end it for: wall-clock time, processor time, output,
//! on cgroup v1 what is left of a group in which a process was killed for memory, and memory where there is no cgroup.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::capture::Capture;
use crate::cgroup::Leaf;
use crate::host::processors;
use crate::model::{CpuTime, Limits, Stop};
use crate::sys::watch::watch;

/// Looking at the clock of the group more often than this costs more than it is worth.
const CPU_LOOK: Duration = Duration::from_millis(10);

/// The kernel announces that a group is out of memory before it kills; the count follows within this.
const OOM_LOOK: Duration = Duration::from_millis(2);

/// How often memory is looked at where no group limits it.
const MEMORY_LOOK: Duration = Duration::from_millis(10);

/// Everything that may end a step early.
#[derive(Debug)]
pub(super) struct Watchdog<'a> {
    pub(super) limits: &'a Limits,
    pub(super) leaf: &'a Leaf,
    pub(super) capture: &'a Capture,
    pub(super) oom: Option<OwnedFd>,
    pub(super) cancel: &'a CancellationToken,
    pub(super) started: Instant,
    /// What the group had used before the program started.
    pub(super) used_before: CpuTime,
}

impl Watchdog<'_> {
    /// The first reason to end the step. Pends for ever where there is none.
    pub(super) async fn reason(mut self) -> Stop {
        let oom = self.oom.take();
        tokio::select! {
            () = self.cancel.cancelled() => Stop::Cancelled,
            () = self.out_of_memory(oom) => Stop::Memory,
            () = self.too_much_memory() => Stop::Memory,
            () = self.capture.over() => Stop::Output,
            () = self.cpu_used_up() => Stop::CpuTime,
            () = sleep_until(self.started + self.limits.wall.duration()) => Stop::WallTime,
        }
    }

    /// Looks again at the earliest moment at which the rest could be used up, every processor busy.
    async fn cpu_used_up(&self) {
        let processors = processors() as u64;
        loop {
            // A clock that cannot be read now may be readable next time; the wall-clock limit stands meanwhile.
            let used = self.leaf.cpu_time().map_or(0, |t| t.0.saturating_sub(self.used_before.0));
            let left = self.limits.cpu_time.0.saturating_sub(used);
            if left == 0 {
                return;
            }
            sleep(Duration::from_micros(left / processors).max(CPU_LOOK)).await;
        }
    }

    async fn too_much_memory(&self) {
        while let Some(held) = self.leaf.sampled_memory() {
            if held > self.limits.memory {
                return;
            }
            sleep(MEMORY_LOOK).await;
        }
        std::future::pending::<()>().await;
    }

    async fn out_of_memory(&self, event: Option<OwnedFd>) {
        let Some(event) = event.and_then(|fd| watch(fd).ok()) else { return std::future::pending().await };
        loop {
            let Ok(mut ready) = event.readable().await else { return std::future::pending().await };
            let mut count = [0; 8];
            // Empty again is what it should be afterwards.
            let _ = rustix::io::read(event.get_ref(), &mut count);
            ready.clear_ready();
            for _ in 0..50 {
                if self.leaf.oom_kills().is_some_and(|n| n > 0) {
                    return;
                }
                sleep(OOM_LOOK).await;
            }
        }
    }
}
