//! Whether the service still answers while attacks go on: a client that asks for a status at a steady rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::support::{Client, scale};

/// The time between two questions.
const EVERY: Duration = Duration::from_millis(20);

/// Of a hundred answers, 95 take no longer than this.
const P95: Duration = Duration::from_millis(100);

/// The client, until it is asked what it saw.
pub struct Pulse {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Vec<Duration>>,
}

impl Pulse {
    /// Asks for the status of `id`, of a submission that the server knows.
    pub fn of(client: Client, id: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let asking = std::thread::spawn(move || {
            let (mut took, mut due) = (Vec::new(), Instant::now());
            while !stopped.load(Ordering::Relaxed) {
                client.status(&id);
                // From when it was due: an answer that is late holds up the questions after it.
                took.push(due.elapsed());
                due += EVERY;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            took
        });
        Self { stop, asking }
    }

    /// Stops, and panics unless the answers were quick.
    pub fn was_quick(self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut took = self.asking.join().expect("an answer to each question");
        took.sort();
        let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)];
        println!("{} answers of /status: p50 {:?}, p95 {:?}, p99 {:?}", took.len(), at(50), at(95), at(99));
        assert!(took.len() >= 10, "only {} answers", took.len());
        // An emulated machine says nothing about speed.
        let slow = scale::factor() == 1 && at(95) > P95;
        assert!(!slow, "/status took {:?} at the 95th percentile", at(95));
    }
}
