//! Quantities that cannot be mixed up. Each carries its unit in its type and serialises as the bare number.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
    };
}

quantity! {
    /// A size in bytes.
    Bytes(u64)
}
quantity! {
    /// A number of processes and threads together, as the kernel's pids controller counts them.
    Pids(u32)
}
quantity! {
    /// The highest number of open file descriptors plus one, as `RLIMIT_NOFILE` (getrlimit(2)).
    OpenFiles(u32)
}
quantity! {
    /// A number of inodes of a tmpfs, its root directory included (tmpfs(5)).
    Inodes(u64)
}
quantity! {
    /// Whole percent of one processor, measured over one second.
    CpuShare(u32)
}
quantity! {
    /// Wall-clock time in milliseconds.
    WallTime(u64)
}
quantity! {
    /// Wall-clock time in microseconds, as it was measured.
    Elapsed(u64)
}
quantity! {
    /// Processor time of a whole group of processes, user and system together, in microseconds.
    CpuTime(u64)
}

impl Bytes {
    /// `n` MiB.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }
}

impl WallTime {
    /// `n` seconds.
    #[must_use]
    pub const fn seconds(n: u64) -> Self {
        Self(n * 1000)
    }

    /// As the standard library's type.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// Rounded down to the millisecond; a span of over 500 million years is cut to the largest value.
    #[must_use]
    pub fn from_duration(span: Duration) -> Self {
        Self(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Elapsed {
    /// Rounded down to the microsecond; a span of over 500 000 years is cut to the largest value.
    #[must_use]
    pub fn from_duration(span: Duration) -> Self {
        Self(u64::try_from(span.as_micros()).unwrap_or(u64::MAX))
    }
}

impl CpuTime {
    /// `n` seconds.
    #[must_use]
    pub const fn seconds(n: u64) -> Self {
        Self(n * 1_000_000)
    }
}

/// Seconds, with decimals only where they say something: `10`, `0.5`.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            write!(f, "{whole}")
        } else {
            write!(f, "{whole}.{}", format!("{rest:03}").trim_end_matches('0'))
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_shows_seconds_without_needless_decimals() {
        assert_eq!(WallTime::seconds(10).to_string(), "10");
        assert_eq!(WallTime(500).to_string(), "0.5");
        assert_eq!(WallTime(1025).to_string(), "1.025");
    }
}
