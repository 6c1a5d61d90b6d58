//! How much slower the machine is than those that the tests were written on: `CMTEST_TIME_SCALE`, a whole number, 1
//! where nobody says. It stretches what tests wait for, and what a job gets of time: wall clock, processor time, and the
//! share of a processor, up to a whole one. Memory, processes and sizes are what they are on a machine of any speed.

use std::sync::LazyLock;
use std::time::Duration;

/// What every step of a language gets by default: milliseconds of wall clock, seconds of processor time, a share in
/// percent; 0 is no throttle.
const DEFAULTS: [(&str, &str, [u64; 3]); 7] = [
    ("PYTHON", "RUN", [10_000, 10, 10]),
    ("C", "RUN", [10_000, 10, 10]),
    ("CPP", "RUN", [10_000, 10, 10]),
    ("JAVA", "RUN", [15_000, 15, 50]),
    ("C", "COMPILE", [30_000, 20, 0]),
    ("CPP", "COMPILE", [30_000, 20, 0]),
    ("JAVA", "COMPILE", [30_000, 20, 0]),
];

/// The factor.
pub fn factor() -> u32 {
    static FACTOR: LazyLock<u32> = LazyLock::new(|| match std::env::var("CMTEST_TIME_SCALE") {
        Ok(text) => text.parse().ok().filter(|n| (1..=100).contains(n)).expect("CMTEST_TIME_SCALE is from 1 to 100"),
        Err(_) => 1,
    });
    *FACTOR
}

/// As long as `time` is on an ordinary machine.
pub fn patience(time: Duration) -> Duration {
    time * factor()
}

/// What a setting of that limit becomes.
pub fn limit(name: &str, value: u64) -> u64 {
    let stretched = value * u64::from(factor());
    match name {
        "WALL_MS" | "CPU_SECONDS" => stretched,
        "CPU_PERCENT" => stretched.min(value.max(100)),
        _ => value,
    }
}

/// A wall-clock limit of `ms`, in seconds as the service writes it: `1`, `2.5`.
pub fn seconds(ms: u64) -> String {
    let ms = limit("WALL_MS", ms);
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Settings that stretch what every language gets by default; none on an ordinary machine.
pub fn settings() -> Vec<(String, u64)> {
    if factor() == 1 {
        return Vec::new();
    }
    let limits = DEFAULTS.iter().flat_map(|(language, step, values)| {
        let stretched = move |(name, value): (&str, &u64)| {
            (format!("CASEMATE_LIMITS__{language}__{step}__{name}"), limit(name, *value))
        };
        ["WALL_MS", "CPU_SECONDS", "CPU_PERCENT"].into_iter().zip(values).map(stretched)
    });
    limits.chain([("CASEMATE_LAUNCH_MS".to_owned(), 10_000 * u64::from(factor()))]).collect()
}
