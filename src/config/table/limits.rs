//! One row for each limit that a language's steps can be given.

use crate::model::LimitsPatch;

/// One of the keys below `limits.<language>.run` and `limits.<language>.compile`.
#[derive(Debug)]
pub struct LimitRow {
    pub key: &'static str,
    pub min: u64,
    pub max: u64,
    pub doc: &'static str,
    pub set: fn(&mut LimitsPatch, u64),
}

macro_rules! limit {
    ($field:ident, $min:literal ..= $max:literal, $doc:literal) => {
        LimitRow {
            key: stringify!($field),
            min: $min,
            max: $max,
            doc: $doc,
            // The range of the row lies within the field's type.
            set: |patch, n| patch.$field = n.try_into().ok(),
        }
    };
}

/// The fields of [`LimitsPatch`].
pub const LIMITS: &[LimitRow] = &[
    limit!(memory_mib, 4..=1_048_576, "Memory of all processes together, in MiB; there is no swap."),
    limit!(cpu_percent, 0..=102_400, "Share of one processor in percent, measured over one second; 0 is no throttle."),
    limit!(cpu_seconds, 1..=86_400, "Processor time of all processes together, in seconds."),
    limit!(wall_ms, 1..=86_400_000, "Wall-clock time, in milliseconds."),
    limit!(pids, 1..=32_768, "Processes and threads alive at once."),
    limit!(open_files, 4..=1_048_576, "Open files of each process."),
    limit!(stack_mib, 1..=1_048_576, "Stack of the main thread, in MiB."),
    limit!(file_mib, 0..=1_048_576, "Largest file that can be written, in MiB."),
    limit!(output_bytes, 0..=1_073_741_824, "Output that is kept, in bytes; more ends the step."),
    limit!(tmp_mib, 1..=1_048_576, "Size of `/tmp`, in MiB; counts as memory."),
    limit!(tmp_inodes, 2..=100_000_000, "Files and directories in `/tmp`."),
];
