//! One row for each limit that a client may ask for: what it may be at most, unless the settings say otherwise.

/// One of the keys below `ceilings.run` and `ceilings.compile`, in the units and within the range of
/// [`LIMITS`](super::LIMITS).
#[derive(Debug)]
pub struct CeilingRow {
    pub key: &'static str,
    pub run: u64,
    pub compile: u64,
}

const fn row(key: &'static str, run: u64, compile: u64) -> CeilingRow {
    CeilingRow { key, run, compile }
}

/// Every limit that a client may ask for.
pub const CEILINGS: &[CeilingRow] = &[
    row("memory_mib", 512, 1024),
    row("cpu_percent", 100, 0),
    row("cpu_seconds", 60, 60),
    row("wall_ms", 60_000, 60_000),
    row("pids", 256, 256),
    row("open_files", 1024, 1024),
    row("stack_mib", 512, 512),
    row("file_mib", 256, 256),
    row("output_bytes", 16_777_216, 8_388_608),
];
