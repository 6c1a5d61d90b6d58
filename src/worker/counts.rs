//! What the workers have to tell of themselves to whoever watches the service.

use std::sync::Arc;
use std::time::Duration;

use super::Sandbox;
use super::sandbox::Stock;
use crate::metrics::Book;
use crate::model::{StepKind, StepReport};

impl Sandbox {
    /// Enters what is counted here into the book.
    pub fn enter(self: &Arc<Self>, book: &mut Book) {
        self.stock.counts.enter(book);
        let own = Arc::clone(self);
        book.before(move || own.stock.look());
    }
}

impl Stock {
    /// A step was carried out.
    pub(super) fn ran(&self, language: &str, kind: StepKind, report: Option<&StepReport>) {
        if let Some(elapsed) = report.and_then(|report| report.evidence.elapsed) {
            self.counts.ran(language, kind, Duration::from_micros(elapsed.0));
        }
    }

    fn look(&self) {
        for (language, kind, number) in self.reserve.waiting() {
            self.counts.waits(&language, kind, number);
        }
        self.cache.look();
    }
}
