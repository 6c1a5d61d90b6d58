//! What was seen of one step. Nothing here is an opinion: `report::classify` makes a verdict of it.

use serde::{Deserialize, Serialize};

use super::{Bytes, Calls, CpuTime, Elapsed, Pids, WallTime};

/// How the program's process ended, as wait(2) reported it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitStatus {
    /// It called exit with this status.
    Exited(u8),
    /// This signal ended it.
    Signaled(u8),
}

/// Why the service itself ended a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The wall-clock limit passed.
    WallTime,
    /// The group used up its processor time.
    CpuTime,
    /// It printed more than its limit.
    Output,
    /// The kernel killed one process for memory; the rest had to go too.
    Memory,
    /// Somebody asked for it.
    Cancelled,
}

/// Output as far as it was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// Standard output, or both streams in the order of arrival where they are merged.
    #[serde(with = "serde_bytes")]
    pub stdout: Vec<u8>,
    /// Standard error; empty where the streams are merged.
    #[serde(with = "serde_bytes")]
    pub stderr: Vec<u8>,
    /// Bytes that arrived, kept or not.
    pub seen: u64,
    /// Whether more arrived than was kept.
    pub cut: bool,
    /// Bytes that arrived and were not kept, of standard output and of standard error.
    #[serde(default)]
    pub lost: [u64; 2],
}

/// What was measured of one step. What could not be read is `None`, never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What process 1 of the container reported of its only child; absent when it was killed first.
    pub wait: Option<WaitStatus>,
    /// The first reason for which the service ended the step, if it did.
    pub stop: Option<Stop>,
    /// Processes of the group that the kernel killed for memory.
    pub oom_kills: Option<u64>,
    /// Times that a fork was refused by the pids limit.
    pub pids_refused: Option<u64>,
    /// The most processes and threads that were alive at once, without the container's process 1; absent where the
    /// runtime had more of them before the program started.
    pub pids_peak: Option<Pids>,
    /// Periods of one second in which the share of the processor held the group back.
    pub throttled: Option<u64>,
    /// Processor time of the group since the program started.
    pub cpu_time: Option<CpuTime>,
    /// The most memory that the group held at once, the runtime's at the start included.
    pub memory_peak: Option<Bytes>,
    /// From the start of the program to the end of its last process.
    pub wall: Option<WallTime>,
    /// The same, more finely.
    #[serde(default)]
    pub elapsed: Option<Elapsed>,
    /// What it printed.
    pub output: Captured,
    /// Its system calls, where somebody asked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Calls>,
}
