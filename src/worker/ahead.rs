//! Containers for the next runs of a job that has many: made while the run before them goes on, so that a run waits for its
//! program and not for the kernel.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::error::StepError;
use super::launch::Waiting;
use super::sandbox::{Leftovers, Order, Sandbox};

/// Containers of the next runs, in their order.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    made: VecDeque<JoinHandle<Result<Waiting, StepError>>>,
}

impl Ahead {
    /// How many runs after the present one have theirs, or will.
    pub(super) fn len(&self) -> usize {
        self.made.len()
    }

    /// Has one made for the run after those that have theirs. All jobs together make as many at a time as there are
    /// processors.
    pub(super) fn place(&mut self, sandbox: &Arc<Sandbox>, order: Order) {
        let sandbox = Arc::clone(sandbox);
        let make = async move {
            let _turn = sandbox.stock.reserve.turn().await;
            sandbox.supply(&order).await
        };
        self.made.push_back(tokio::spawn(make.in_current_span()));
    }

    /// That of the next run. None where it has none, or where that could not be made or has ended: then one made now is
    /// no worse, and tells why.
    pub(super) async fn next(&mut self) -> Option<Waiting> {
        let mut waiting = self.made.pop_front()?.await.ok()?.ok()?;
        if waiting.is_well() { Some(waiting) } else { None }
    }

    /// Gives back those that nobody needs any more, to the shelves or to be cleared away.
    pub(super) fn give_back(self, sandbox: &Arc<Sandbox>, leftovers: &mut Leftovers) {
        for made in self.made {
            let sandbox = Arc::clone(sandbox);
            let give_back = async move {
                let Ok(Ok(waiting)) = made.await else { return };
                if let Some(waiting) = sandbox.stock.reserve.put_back(waiting) {
                    waiting.remains.clear().await;
                }
            };
            leftovers.behind.spawn(give_back.in_current_span());
        }
    }
}
