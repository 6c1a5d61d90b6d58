//! What the ledger has to tell of itself to whoever watches the service.

use std::sync::Arc;

use super::Ledger;
use crate::metrics::{Book, Line};

impl Ledger {
    /// Enters what is counted here into the book.
    pub fn enter(self: &Arc<Self>, book: &mut Book) {
        self.counts.enter(book);
        let own = Arc::clone(self);
        book.before(move || own.tell_counts());
    }

    fn tell_counts(&self) {
        let (stats, bytes) = (self.stats(), self.lock().bytes);
        self.counts.look(Line {
            queued: stats.queued,
            pending: stats.pending,
            running: stats.running,
            workers: stats.workers,
            queue: self.capacity.queue,
            most_waiting: self.capacity.waiting,
            bytes,
            most_bytes: self.capacity.waiting_bytes.0,
            writable: self.store.writable(),
        });
    }
}
