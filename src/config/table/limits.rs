//! One row for each limit that a language's steps can be given.

use crate::model::{Limits, LimitsPatch};

/// One of the keys below `limits.<language>.run` and `limits.<language>.compile`.
#[derive(Debug)]
pub struct LimitRow {
    pub key: &'static str,
    pub min: u64,
    pub max: u64,
    pub doc: &'static str,
    pub set: fn(&mut LimitsPatch, u64),
    /// The same limit of a step, in the unit of the key; rounded down where a language has a finer one.
    pub get: fn(&Limits) -> u64,
}

macro_rules! limit {
    ($field:ident, $min:literal ..= $max:literal, |$limits:ident| $get:expr, $doc:literal) => {
        LimitRow {
            key: stringify!($field),
            min: $min,
            max: $max,
            doc: $doc,
            // The range of the row lies within the field's type.
            set: |patch, n| patch.$field = n.try_into().ok(),
            get: |$limits| $get,
        }
    };
}

/// The fields of [`LimitsPatch`].
pub const LIMITS: &[LimitRow] = &[
    limit!(
        memory_mib,
        4..=1_048_576,
        |limits| limits.memory.0 >> 20,
        "Memory of all processes together, in MiB; there is no swap."
    ),
    limit!(
        cpu_percent,
        0..=102_400,
        |limits| limits.cpu_share.map_or(0, |share| share.0.into()),
        "Share of one processor in percent, measured over one second; 0 is no throttle."
    ),
    limit!(
        cpu_seconds,
        1..=86_400,
        |limits| limits.cpu_time.0 / 1_000_000,
        "Processor time of all processes together, in seconds."
    ),
    limit!(wall_ms, 1..=86_400_000, |limits| limits.wall.0, "Wall-clock time, in milliseconds."),
    limit!(pids, 1..=32_768, |limits| limits.pids.0.into(), "Processes and threads alive at once."),
    limit!(open_files, 4..=1_048_576, |limits| limits.open_files.0.into(), "Open files of each process."),
    limit!(stack_mib, 1..=1_048_576, |limits| limits.stack.0 >> 20, "Stack of the main thread, in MiB."),
    limit!(file_mib, 0..=1_048_576, |limits| limits.file_size.0 >> 20, "Largest file that can be written, in MiB."),
    limit!(
        output_bytes,
        0..=1_073_741_824,
        |limits| limits.output.0,
        "Output that is kept, in bytes; more ends the step."
    ),
    limit!(tmp_mib, 1..=1_048_576, |limits| limits.tmp.0 >> 20, "Size of `/tmp`, in MiB; counts as memory."),
    limit!(tmp_inodes, 2..=100_000_000, |limits| limits.tmp_inodes.0, "Files and directories in `/tmp`."),
];
