//! What was measured, as a table and as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// Figures of one run.
#[derive(Default)]
pub struct Report {
    /// What was done, in words.
    pub title: String,
    /// Response times of each route, and other spans, by name.
    pub times: BTreeMap<String, Vec<Duration>>,
    /// Submissions, those accepted, those completed with the right output.
    pub counts: [usize; 3],
    /// From the first request to the last result.
    pub wall: Duration,
    /// Requests of all routes.
    pub requests: usize,
    /// Figures of their own, such as ratios.
    pub more: BTreeMap<String, f64>,
}

/// The smallest time that `percent` of all do not exceed.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

impl Report {
    /// Another measurement of `what`.
    pub fn add(&mut self, what: &str, time: Duration) {
        self.times.entry(what.to_owned()).or_default().push(time);
    }

    /// Whether the success rate of the contract was reached.
    pub fn good(&self) -> bool {
        self.counts[2] * 100 >= self.counts[0] * 95
    }

    /// Name, number, p50, p95, p99 and largest, in milliseconds.
    fn rows(&self) -> Vec<(String, usize, [f64; 4])> {
        let row = |(name, times): (&String, &Vec<Duration>)| {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            (name.clone(), sorted.len(), [50, 95, 99, 100].map(|percent| ms(percentile(&sorted, percent))))
        };
        self.times.iter().map(row).collect()
    }

    pub fn print(&self) {
        println!("{}\n", self.title);
        println!("{:<28}{:>8}{:>12}{:>12}{:>12}{:>12}", "milliseconds", "n", "p50", "p95", "p99", "max");
        for (name, n, [p50, p95, p99, max]) in self.rows() {
            println!("{name:<28}{n:>8}{p50:>12.3}{p95:>12.3}{p99:>12.3}{max:>12.3}");
        }
        let [submitted, accepted, completed] = self.counts;
        let seconds = self.wall.as_secs_f64().max(1e-9);
        println!(
            "\n{submitted} submitted, {accepted} accepted, {completed} completed with the right output ({:.1} %)",
            self.rate()
        );
        println!(
            "{:.2} s, {:.1} results/s, {:.1} requests/s",
            seconds,
            completed as f64 / seconds,
            self.requests as f64 / seconds
        );
        for (name, value) in &self.more {
            println!("{name}: {value:.2}");
        }
    }

    fn rate(&self) -> f64 {
        100.0 * self.counts[2] as f64 / self.counts[0].max(1) as f64
    }

    pub fn json(&self) -> Value {
        let rows = self.rows().into_iter().map(|(name, n, [p50, p95, p99, max])| {
            (name, json!({"n": n, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": max}))
        });
        let seconds = self.wall.as_secs_f64().max(1e-9);
        json!({
            "title": self.title,
            "times": rows.collect::<serde_json::Map<_, _>>(),
            "submitted": self.counts[0],
            "accepted": self.counts[1],
            "completed": self.counts[2],
            "success_percent": self.rate(),
            "seconds": seconds,
            "results_per_second": self.counts[2] as f64 / seconds,
            "requests_per_second": self.requests as f64 / seconds,
            "figures": self.more,
        })
    }
}
