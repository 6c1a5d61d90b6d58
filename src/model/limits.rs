//! What one step of a job may use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, CpuShare, CpuTime, Inodes, Number, OpenFiles, Pids, WallTime};

/// The limits of one step. One value of this feeds the bundle, the cgroup and the read-back, so that none can differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of the whole group: heap, stacks, tmpfs, memfd, page tables. Swap is zero.
    pub memory: Bytes,
    /// Share of one processor over a one-second period; `None` leaves the step unthrottled.
    pub cpu_share: Option<CpuShare>,
    /// Processor time of the whole group.
    pub cpu_time: CpuTime,
    /// Wall-clock time from the start of the program.
    pub wall: WallTime,
    /// Processes and threads alive at once.
    pub pids: Pids,
    /// Open file descriptors of each process.
    pub open_files: OpenFiles,
    /// Stack of the main thread.
    pub stack: Bytes,
    /// Largest file that a process may write.
    pub file_size: Bytes,
    /// Bytes kept of what the step prints, both streams together.
    pub output: Bytes,
    /// Size of `/tmp`.
    pub tmp: Bytes,
    /// Inodes of `/tmp`.
    pub tmp_inodes: Inodes,
}

/// Any of [`Limits`], in the units that people write: language files and settings are read into this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsPatch {
    /// Memory, in MiB.
    pub memory_mib: Option<u64>,
    /// Share of one processor in percent; 0 leaves the step unthrottled.
    pub cpu_percent: Option<u32>,
    /// Processor time, in seconds.
    pub cpu_seconds: Option<u64>,
    /// Wall-clock time, in milliseconds.
    pub wall_ms: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Open files.
    pub open_files: Option<u32>,
    /// Stack, in MiB.
    pub stack_mib: Option<u64>,
    /// Largest file, in MiB.
    pub file_mib: Option<u64>,
    /// Output, in bytes.
    pub output_bytes: Option<u64>,
    /// Size of `/tmp`, in MiB.
    pub tmp_mib: Option<u64>,
    /// Inodes of `/tmp`.
    pub tmp_inodes: Option<u64>,
}

impl LimitsPatch {
    /// `limits` with everything that this names changed.
    #[must_use]
    pub fn apply(&self, limits: &Limits) -> Limits {
        Limits {
            memory: self.memory_mib.map_or(limits.memory, Bytes::mib),
            cpu_share: match self.cpu_percent {
                Some(0) => None,
                Some(n) => Some(CpuShare(n)),
                None => limits.cpu_share,
            },
            cpu_time: self.cpu_seconds.map_or(limits.cpu_time, CpuTime::seconds),
            wall: self.wall_ms.map_or(limits.wall, WallTime),
            pids: self.pids.map_or(limits.pids, Pids),
            open_files: self.open_files.map_or(limits.open_files, OpenFiles),
            stack: self.stack_mib.map_or(limits.stack, Bytes::mib),
            file_size: self.file_mib.map_or(limits.file_size, Bytes::mib),
            output: self.output_bytes.map_or(limits.output, Bytes),
            tmp: self.tmp_mib.map_or(limits.tmp, Bytes::mib),
            tmp_inodes: self.tmp_inodes.map_or(limits.tmp_inodes, Inodes),
        }
    }
}

/// Limits of a step, as a client asks for them, in units fine enough for short programs. What is absent stays the
/// language's own; how much may be asked for is the operator's affair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsWanted {
    /// Wall-clock time from the start of the program, in milliseconds.
    pub wall_ms: Option<Number>,
    /// Processor time of all its processes together, in milliseconds.
    pub cpu_ms: Option<Number>,
    /// Share of one processor, in percent, measured over a second.
    pub cpu_percent: Option<Number>,
    /// Memory of all its processes together, files in `/tmp` among it, in bytes; rounded up to whole pages of 4 096.
    pub memory_bytes: Option<Number>,
    /// Processes and threads alive at once.
    pub processes: Option<Number>,
    /// Open files of each process.
    pub open_files: Option<Number>,
    /// Stack of the main thread, in bytes.
    pub stack_bytes: Option<Number>,
    /// Largest file, in bytes.
    pub file_bytes: Option<Number>,
    /// What is kept of both streams together, in bytes.
    pub output_bytes: Option<Number>,
}

impl LimitsWanted {
    /// What this names, and of the rest what `below` names.
    #[must_use]
    pub fn over(self, below: &Self) -> Self {
        let or = |own: Option<Number>, below: &Option<Number>| own.or_else(|| below.clone());
        Self {
            wall_ms: or(self.wall_ms, &below.wall_ms),
            cpu_ms: or(self.cpu_ms, &below.cpu_ms),
            cpu_percent: or(self.cpu_percent, &below.cpu_percent),
            memory_bytes: or(self.memory_bytes, &below.memory_bytes),
            processes: or(self.processes, &below.processes),
            open_files: or(self.open_files, &below.open_files),
            stack_bytes: or(self.stack_bytes, &below.stack_bytes),
            file_bytes: or(self.file_bytes, &below.file_bytes),
            output_bytes: or(self.output_bytes, &below.output_bytes),
        }
    }
}
