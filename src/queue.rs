//! The bounded first-in-first-out queue between the ledger and the workers.
//!
//! It holds ids, not jobs, and never makes a pusher wait. What does not fit stays with the ledger.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::JobId;

/// The queue. Share it behind an `Arc`.
#[derive(Debug)]
pub struct Queue {
    capacity: usize,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    ids: VecDeque<JobId>,
    closed: bool,
}

impl Queue {
    /// An empty queue with this many places.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, inner: Mutex::default(), changed: Notify::new() }
    }

    /// Appends `id` and says so, or changes nothing when there is no place. Never waits.
    #[must_use]
    pub fn try_push(&self, id: JobId) -> bool {
        let mut inner = self.lock();
        if inner.closed || inner.ids.len() >= self.capacity {
            return false;
        }
        inner.ids.push_back(id);
        drop(inner);
        self.changed.notify_one();
        true
    }

    /// The oldest id; waits for one. `None` once the queue is closed, whatever it still holds.
    pub async fn pop(&self) -> Option<JobId> {
        loop {
            let changed = self.changed.notified();
            {
                let mut inner = self.lock();
                if inner.closed {
                    return None;
                }
                if let Some(id) = inner.ids.pop_front() {
                    return Some(id);
                }
            }
            changed.await;
        }
    }

    /// Takes `id` out of the middle; whether it was there.
    pub fn remove(&self, id: JobId) -> bool {
        let mut inner = self.lock();
        let before = inner.ids.len();
        inner.ids.retain(|other| *other != id);
        inner.ids.len() < before
    }

    /// How many places are free; none once it is closed.
    #[must_use]
    pub fn free(&self) -> usize {
        let inner = self.lock();
        if inner.closed { 0 } else { self.capacity.saturating_sub(inner.ids.len()) }
    }

    /// How many ids wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().ids.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ends every [`Queue::pop`], those that wait and those to come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_waiters();
        // A pop between its look at the queue and its wait is not a waiter yet; this permit is for it, and each pop
        // that finds the queue closed is done without using one.
        self.changed.notify_one();
    }

    /// Nothing inside the lock can panic half-way, so a poisoned lock still guards a whole value.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn keeps_order_and_never_holds_more_than_its_capacity() {
        let queue = Queue::new(2);
        let ids: Vec<_> = (0..3).map(|_| JobId::random()).collect();
        assert_eq!(ids.iter().map(|id| queue.try_push(*id)).collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(queue.len(), 2);
        assert_eq!(queue.pop().await, Some(ids[0]));
        assert!(queue.try_push(ids[2]));
        assert!(queue.remove(ids[1]) && !queue.remove(ids[1]));
        assert_eq!(queue.pop().await, Some(ids[2]));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_pushed_id_reaches_exactly_one_popper_and_close_frees_them_all() {
        let queue = Arc::new(Queue::new(8));
        let poppers: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move {
                    let mut got = Vec::new();
                    while let Some(id) = queue.pop().await {
                        got.push(id);
                    }
                    got
                })
            })
            .collect();
        let mut pushed: Vec<_> = (0..500).map(|_| JobId::random()).collect();
        for id in &pushed {
            while !queue.try_push(*id) {
                tokio::task::yield_now().await;
            }
        }
        while !queue.is_empty() {
            tokio::task::yield_now().await;
        }
        queue.close();
        let mut got = Vec::new();
        for popper in poppers {
            got.extend(popper.await.unwrap());
        }
        pushed.sort();
        got.sort();
        assert_eq!(got, pushed);
    }
}
