//! Each limit of a step on its own: what was allowed, what was used, who saw to it, and whether it came into play.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, CpuShare, CpuTime, Inodes, OpenFiles, Pids, WallTime};

/// What stands behind the limits of a whole service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// cgroup v2.
    CgroupV2,
    /// cgroup v1.
    CgroupV1,
    /// No cgroup: limits of single processes, and a watchdog that looks from time to time. Somebody asked for it.
    Sampling,
}

impl Enforcement {
    /// As people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CgroupV2 => "cgroup v2",
            Self::CgroupV1 => "cgroup v1",
            Self::Sampling => "sampling",
        }
    }
}

/// Who holds a step to one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Enforcer {
    /// The kernel, for the whole step, by its cgroup (v2).
    CgroupV2,
    /// The same by cgroup v1.
    CgroupV1,
    /// The service, which is told at once or knows the moment beforehand.
    Watchdog,
    /// The kernel, for each process or each user (setrlimit(2)).
    Rlimit,
    /// The kernel, by the size of the file system (tmpfs(5)).
    Tmpfs,
    /// The service, which looks from time to time: the step can be over the limit for a moment.
    Sampling,
    /// Nobody.
    None,
}

impl Enforcer {
    /// Whether the limit can be passed.
    #[must_use]
    pub const fn weak(self) -> bool {
        matches!(self, Self::Sampling | Self::None)
    }
}

/// One limit. What nobody could tell is absent, never zero or false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound<T> {
    /// What was allowed.
    pub bound: T,
    /// What was used, at its highest.
    pub used: Option<T>,
    /// Who saw to it.
    pub enforced_by: Enforcer,
    /// Whether it ended the step, refused it something or held it back.
    pub fired: Option<bool>,
}

impl<T> Bound<T> {
    /// Who sees to it, and whether it came into play.
    const fn state(&self) -> (Enforcer, Option<bool>) {
        (self.enforced_by, self.fired)
    }
}

/// Every limit of a step, by the names of [`Limits`](super::Limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Bounds {
    pub memory: Bound<Bytes>,
    pub pids: Bound<Pids>,
    /// Absent where the step is not throttled. Used is the average over the step.
    pub cpu_share: Option<Bound<CpuShare>>,
    pub cpu_time: Bound<CpuTime>,
    pub wall: Bound<WallTime>,
    pub output: Bound<Bytes>,
    pub file_size: Bound<Bytes>,
    pub open_files: Bound<OpenFiles>,
    pub stack: Bound<Bytes>,
    pub tmp: Bound<Bytes>,
    pub tmp_inodes: Bound<Inodes>,
}

impl Bounds {
    /// The names of the limits that can be passed, as requests have them.
    #[must_use]
    pub fn weak(&self) -> Vec<&'static str> {
        self.names(|by, _| by.weak())
    }

    /// The names of the limits that came into play, as far as anybody can tell.
    #[must_use]
    pub fn fired(&self) -> Vec<&'static str> {
        self.names(|_, fired| fired == Some(true))
    }

    /// The names of those for which this holds: who sees to it, and whether it came into play.
    fn names(&self, holds: impl Fn(Enforcer, Option<bool>) -> bool) -> Vec<&'static str> {
        [
            ("memory_bytes", Some(self.memory.state())),
            ("processes", Some(self.pids.state())),
            ("cpu_percent", self.cpu_share.map(|share| share.state())),
            ("cpu_ms", Some(self.cpu_time.state())),
            ("wall_ms", Some(self.wall.state())),
            ("output_bytes", Some(self.output.state())),
            ("file_bytes", Some(self.file_size.state())),
            ("open_files", Some(self.open_files.state())),
            ("stack_bytes", Some(self.stack.state())),
            ("tmp_bytes", Some(self.tmp.state())),
            ("tmp_inodes", Some(self.tmp_inodes.state())),
        ]
        .into_iter()
        .filter_map(|(name, state)| state.is_some_and(|(by, fired)| holds(by, fired)).then_some(name))
        .collect()
    }
}
