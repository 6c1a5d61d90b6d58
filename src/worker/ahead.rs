//! Containers for the next runs of a job that has many: made while the run before them goes on, so that a run waits for its
//! program and not for the kernel.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::launch::Waiting;
use super::sandbox::{Leftovers, Order, Sandbox};

/// Containers of the next runs, in their order.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    made: VecDeque<Made<Waiting>>,
}

impl Ahead {
    /// How many runs after the present one have theirs, or will have it where their turn comes in time.
    pub(super) fn len(&self) -> usize {
        self.made.len()
    }

    /// Has one made for the run after those that have theirs, once there is a turn for it. All jobs together have as many
    /// turns as there are processors.
    pub(super) fn place(&mut self, sandbox: &Arc<Sandbox>, order: Order) {
        let own = Arc::clone(sandbox);
        let make = async move { own.supply(&order).await.ok() };
        self.made.push_back(Made::in_turn(sandbox.stock.reserve.turns(), make));
    }

    /// That of the next run. None where it has none, where its turn has not come, or where that could not be made or has
    /// ended: then one made now is no worse, and tells why.
    pub(super) async fn next(&mut self) -> Option<Waiting> {
        let (mut waiting, _turn) = self.made.pop_front()?.now().await?;
        if waiting.is_well() { Some(waiting) } else { None }
    }

    /// Gives back those that nobody needs any more, to the shelves or to be cleared away.
    pub(super) fn give_back(self, sandbox: &Arc<Sandbox>, leftovers: &mut Leftovers) {
        for made in self.made {
            let sandbox = Arc::clone(sandbox);
            let give_back = async move {
                let Some((waiting, _turn)) = made.now().await else { return };
                if let Some(waiting) = sandbox.stock.reserve.put_back(waiting) {
                    waiting.remains.clear().await;
                }
            };
            leftovers.behind.spawn(give_back.in_current_span());
        }
    }
}

/// What is made when its turn comes. The turn lasts for as long as what was made waits, so that no more wait than there are
/// turns, however many jobs have some made.
#[derive(Debug)]
struct Made<T> {
    made: JoinHandle<Option<(T, OwnedSemaphorePermit)>>,
    late: CancellationToken,
}

impl<T: Send + 'static> Made<T> {
    /// Turns come in the order in which they were asked for.
    fn in_turn(turns: &Arc<Semaphore>, make: impl Future<Output = Option<T>> + Send + 'static) -> Self {
        let (turns, late) = (Arc::clone(turns), CancellationToken::new());
        let over = late.clone();
        let made = async move {
            let turn = tokio::select! {
                biased;
                turn = turns.acquire_owned() => turn.ok()?,
                () = over.cancelled() => return None,
            };
            Some((make.await?, turn))
        };
        Self { made: tokio::spawn(made.in_current_span()), late }
    }

    /// What was made, or is being made, and its turn, which is to be given up with it. Nobody waits for a turn here: none
    /// where it has not come.
    async fn now(self) -> Option<(T, OwnedSemaphorePermit)> {
        self.late.cancel();
        self.made.await.ok()?
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    /// All tasks have come as far as they can: there is one thread, and nothing here waits for anything outside.
    async fn settle() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn no_more_wait_than_there_are_turns() {
        let turns = Arc::new(Semaphore::new(2));
        let made = |what: u32| Made::in_turn(&turns, ready(Some(what)));
        let (first, second, third, fourth) = (made(1), made(2), made(3), made(4));
        settle().await;
        assert_eq!(turns.available_permits(), 0, "what waits keeps its turn");
        assert!(third.now().await.is_none(), "two wait already, and nobody is held up by that");
        let (what, turn) = first.now().await.expect("one that was made");
        assert_eq!((what, fourth.made.is_finished()), (1, false));
        drop(turn);
        settle().await;
        assert!(fourth.made.is_finished(), "the next in the order");
        assert_eq!(turns.available_permits(), 0, "those of the second and of the fourth");
        assert_eq!(second.now().await.map(|(what, _)| what), Some(2));
        assert_eq!(fourth.now().await.map(|(what, _)| what), Some(4));
        let failed = Made::in_turn(&turns, ready(None::<u32>));
        assert!(failed.now().await.is_none());
        assert_eq!(turns.available_permits(), 2, "what was taken, or could not be made, waits no more");
    }
}
