//! Signals and the phases of going down.
//!
//! First signal: nothing new is accepted, what runs may finish. The deadline or a second signal: what runs is interrupted.
//! Once nothing runs any more, connections close; until then everybody is answered. This only says which phase it is;
//! each room does its part itself.

use std::future::Future;
use std::io;
use std::time::Duration;

use nix::sys::signal::SigSet;
use tokio::signal::unix::{Signal, SignalKind, signal};
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

    /// Waits for a signal and walks through the first two phases; `deadline` is what running jobs get. Ends when the second
    /// has been entered.
    pub async fn watch(&self, mut signals: Signals, deadline: Duration) {
        signals.next().await;
        self.walk(deadline, signals.next()).await;
    }

    /// The two phases, after the first signal: the second begins with the second signal or at the deadline.
    pub async fn walk(&self, deadline: Duration, second: impl Future<Output = ()>) {
        self.begin();
        tokio::select! { () = second => {}, () = tokio::time::sleep(deadline) => {} }
        self.hurry();
    }
}

/// SIGTERM and SIGINT, listened to from the moment on at which this is made.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Installs the handlers and lets in what was blocked until now. The kernel drops a signal that process 1 of a namespace
    /// has no handler for, unless it is blocked (pid_namespaces(7), signal(7)): so the service is entered with signals blocked,
    /// and one that comes before there are handlers is not lost. To be called early, in the thread that drives the runtime.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen() -> io::Result<Self> {
        let signals = Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
        SigSet::all().thread_unblock()?;
        Ok(signals)
    }

    async fn next(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use nix::sys::signal::Signal::SIGTERM;

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
        // One that comes while they are blocked is there once they are listened to.
        SigSet::all().thread_block().unwrap();
        nix::sys::signal::raise(SIGTERM).unwrap();
        let (shutdown, signals) = (Shutdown::new(), Signals::listen().unwrap());
        let watcher = shutdown.clone();
        let task = tokio::spawn(async move { watcher.watch(signals, Duration::from_secs(3600)).await });
        shutdown.stop_accepting().cancelled().await;
        assert!(!shutdown.stop_now().is_cancelled());
        nix::sys::signal::raise(SIGTERM).unwrap();
        task.await.unwrap();
        assert!(shutdown.stop_now().is_cancelled());
    }
}
