//! Signals and the phases of going down.
//!
//! First signal: nothing new is accepted, what runs may finish. The deadline or a second signal: what runs is interrupted.
//! Once nothing runs any more, connections close; until then everybody is answered. This only says which phase it is;
//! each room does its part itself.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The three points of no return. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    accepting: CancellationToken,
    running: CancellationToken,
    serving: CancellationToken,
}

impl Shutdown {
    /// Nothing has been asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Fires when nothing new is to be accepted.
    #[must_use]
    pub const fn stop_accepting(&self) -> &CancellationToken {
        &self.accepting
    }

    /// Fires when what still runs is to end now; never before [`Shutdown::stop_accepting`].
    #[must_use]
    pub const fn stop_now(&self) -> &CancellationToken {
        &self.running
    }

    /// Fires when connections are to close, after the last answer.
    #[must_use]
    pub const fn stop_serving(&self) -> &CancellationToken {
        &self.serving
    }

    /// Enters the first phase.
    pub fn begin(&self) {
        self.accepting.cancel();
    }

    /// Ends what still runs.
    pub fn hurry(&self) {
        self.accepting.cancel();
        self.running.cancel();
    }

    /// Nothing runs any more: closes the connections.
    pub fn leave(&self) {
        self.accepting.cancel();
        self.serving.cancel();
    }

    /// Waits for SIGTERM or SIGINT and walks through the first two phases; `deadline` is what running jobs get. Ends when
    /// the second has been entered.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub async fn watch_signals(&self, deadline: Duration) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut next = async || {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        };
        next().await;
        self.walk(deadline, next()).await;
        Ok(())
    }

    /// The two phases, after the first signal: the second begins with the second signal or at the deadline.
    pub async fn walk(&self, deadline: Duration, second: impl Future<Output = ()>) {
        self.begin();
        tokio::select! { () = second => {}, () = tokio::time::sleep(deadline) => {} }
        self.hurry();
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn the_deadline_or_a_second_signal_ends_the_first_phase() {
        let far = Duration::from_secs(3600);
        let hurried = Shutdown::new();
        hurried.walk(far, ready(())).await;
        assert!(hurried.stop_now().is_cancelled());

        let late = Shutdown::new();
        late.walk(Duration::from_millis(1), pending()).await;
        assert!(late.stop_now().is_cancelled());

        let patient = Shutdown::new();
        let walk = patient.walk(far, pending());
        tokio::select! { biased; () = walk => panic!("ended by itself"), () = patient.stop_accepting().cancelled() => {} }
        assert!(!patient.stop_now().is_cancelled());
    }

    #[tokio::test]
    async fn signals_reach_it() {
        let shutdown = Shutdown::new();
        let watcher = shutdown.clone();
        let task = tokio::spawn(async move { watcher.watch_signals(Duration::from_secs(3600)).await });
        // The handlers are in place once the task has run up to its first wait; until then a signal would kill us.
        let _installed = signal(SignalKind::terminate()).unwrap();
        tokio::task::yield_now().await;
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).unwrap();
        shutdown.stop_accepting().cancelled().await;
        assert!(!shutdown.stop_now().is_cancelled());
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).unwrap();
        task.await.unwrap().unwrap();
        assert!(shutdown.stop_now().is_cancelled());
    }
}
