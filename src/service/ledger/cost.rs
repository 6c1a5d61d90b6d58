//! What a job costs its owner among those that wait: one for each run, or one for each second that a worker had it, whichever
//! is more. A start is charged one, the other runs once they are known, and the seconds at its end.

use super::Ledger;
use crate::model::{JobId, Submission};

impl Ledger {
    /// It costs at least so much.
    pub(super) fn charge(&self, id: JobId, cost: u64) {
        let mut inner = self.lock();
        let Some(live) = inner.live.get_mut(&id) else { return };
        let more = cost.saturating_sub(live.charged);
        live.charged += more;
        self.queue.charge(live.submission.owner.as_ref(), more);
    }

    /// It has ended. To be called while it is still known.
    pub(super) fn settle(&self, ended: &Submission) {
        let (Some(begun), Some(end)) = (ended.started_at, ended.completed_at) else { return };
        self.charge(ended.id, end.duration_since(begun).unwrap_or_default().as_secs());
        self.queue.done(ended.id);
    }
}
