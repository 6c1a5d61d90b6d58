//! Limits in the kernel's hands: cgroup v2 where it is delegated, else v1; and where neither is, and somebody asked for
//! it by name, a look at the processes from time to time.
//!
//! A [`Delegation`] is a place in the hierarchy that is ours to divide; it can only be had by having set and read back
//! every limit that we sell. A [`Leaf`] belongs to one container. The two versions differ in who makes the leaf: on v2
//! the runtime does, from `linux.resources`; on v1 we do, and the process that becomes the runtime joins it itself.

mod behind;
mod files;
mod sampled;
mod swap;
mod v1;
mod v2;

use std::io;
use std::os::fd::OwnedFd;

use nix::unistd::Pid;
use thiserror::Error;

use crate::model::{Bytes, CpuShare, CpuTime, Enforcement, Limits, Pids};

pub use v1::Hierarchies;

/// One second, in microseconds: the period over which CPU shares are measured. The longest that the kernel takes
/// (`max_bw_quota_period_us`, kernel/sched/core.c).
pub const CPU_PERIOD_US: u64 = 1_000_000;

/// Pauses, in milliseconds, between tries to remove a group whose last process has just been reaped.
const SHORT: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 128];

/// The same at the start, for what a dead service left: nobody has waited for its processes yet, and without it there is no
/// start. Eight seconds together.
const LONG: [u64; 13] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

/// What went wrong with a cgroup.
#[derive(Debug, Error)]
pub enum CgroupError {
    /// See the source.
    #[error("cannot {action} {file}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The control file or directory, relative to the delegated place.
        file: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A control file holds something else than it should.
    #[error("{file} reads {found:?}, expected {expected}")]
    Differs {
        /// The control file.
        file: String,
        /// What it holds.
        found: String,
        /// What it was to hold.
        expected: String,
    },
    /// A process is not where its limits are.
    #[error("process {pid} is not in {file}")]
    Astray {
        /// The process.
        pid: i32,
        /// The list it should have been in.
        file: String,
    },
    /// What is swapped out counts as memory of nobody, and the machine has where to swap to.
    #[error(
        "memory that is swapped out cannot be limited here; switch swap off (swapoff -a), or boot with swapaccount=1"
    )]
    Swap,
    /// A controller that we cannot do without is not there.
    #[error("the {0} controller is not delegated to this user")]
    Missing(&'static str),
}

/// A place in the hierarchy that is ours to divide.
#[derive(Debug)]
pub enum Delegation {
    /// One directory in each of four v1 hierarchies.
    V1(v1::Delegation),
    /// One v2 subtree.
    V2(v2::Delegation),
    /// None: no limit of a group is enforced.
    Sampled,
}

impl Delegation {
    /// Takes over directories in the v1 hierarchies. `instance` tells services of the same user apart.
    ///
    /// # Errors
    /// When a limit cannot be set and read back there.
    pub fn v1(hierarchies: &Hierarchies, instance: &str) -> Result<Self, CgroupError> {
        v1::Delegation::take(hierarchies, instance).map(Self::V1)
    }

    /// Takes over the v2 cgroup that is the root of this process's cgroup namespace, mounted at `mount`.
    ///
    /// # Errors
    /// When a controller is not delegated or a limit cannot be set and read back.
    pub fn v2(mount: &std::path::Path) -> Result<Self, CgroupError> {
        v2::Delegation::take(mount).map(Self::V2)
    }

    /// A leaf for one container, with `limits` already in force where we are the ones to set them.
    ///
    /// # Errors
    /// When it cannot be made or a limit cannot be set.
    pub fn leaf(&self, name: &str, limits: &Limits) -> Result<Leaf, CgroupError> {
        match self {
            Self::V1(d) => d.leaf(name, limits).map(Leaf::V1),
            Self::V2(d) => Ok(Leaf::V2(d.leaf(name))),
            Self::Sampled => Ok(Leaf::Sampled(sampled::Leaf::default())),
        }
    }

    /// Tries again to remove what could not be removed when its container went; whatever is still in it is killed. How many
    /// are gone now, and how many still are not.
    pub fn tidy(&self) -> (usize, usize) {
        match self {
            Self::V1(d) => d.tidy(),
            Self::V2(d) => d.tidy(),
            Self::Sampled => (0, 0),
        }
    }

    /// What enforces the limits, for reports and logs.
    #[must_use]
    pub const fn enforcement(&self) -> Enforcement {
        match self {
            Self::V1(_) => Enforcement::CgroupV1,
            Self::V2(_) => Enforcement::CgroupV2,
            Self::Sampled => Enforcement::Sampling,
        }
    }
}

/// What the kernel counted for one leaf. What could not be read is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time since the leaf was made.
    pub cpu_time: Option<CpuTime>,
    /// The most memory held at once.
    pub memory_peak: Option<Bytes>,
    /// Processes that were killed for memory.
    pub oom_kills: Option<u64>,
    /// Forks that were refused.
    pub pids_refused: Option<u64>,
    /// The most processes and threads that were alive at once, the container's process 1 not counted.
    pub pids_peak: Option<Pids>,
    /// Periods in which the group was held back by its share of the processor.
    pub throttled: Option<u64>,
}

/// The cgroup of one container.
#[derive(Debug)]
pub enum Leaf {
    /// In four v1 hierarchies.
    V1(v1::Leaf),
    /// In the one v2 hierarchy.
    V2(v2::Leaf),
    /// In none.
    Sampled(sampled::Leaf),
}

impl Leaf {
    /// Open `cgroup.procs` for the process that becomes the runtime to write itself into; none on v2.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn join(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        match self {
            Self::V1(leaf) => leaf.join(),
            Self::V2(_) | Self::Sampled(_) => Ok(Vec::new()),
        }
    }

    /// What `linux.cgroupsPath` has to say; nothing on v1.
    #[must_use]
    pub fn oci_path(&self) -> Option<String> {
        match self {
            Self::V1(_) | Self::Sampled(_) => None,
            Self::V2(leaf) => Some(leaf.oci_path()),
        }
    }

    /// Puts the last limits in force, after the runtime has done its part and before the program starts. On v1 these are
    /// the CPU share and the number of processes: set earlier they would hold up the runtime. Without a cgroup it is what `pid`, the container's
    /// process 1, hands on to all its children.
    ///
    /// # Errors
    /// When a limit cannot be set.
    pub fn arm(&self, limits: &Limits, pid: Pid) -> Result<(), CgroupError> {
        match self {
            Self::V1(leaf) => leaf.arm(limits),
            Self::V2(leaf) => leaf.arm(),
            Self::Sampled(leaf) => leaf.arm(limits, pid),
        }
    }

    /// Reads every limit back and looks that `pid` is under all of them.
    ///
    /// # Errors
    /// Naming the first file that says something else than `limits`.
    pub fn verify(&self, limits: &Limits, pid: Pid) -> Result<(), CgroupError> {
        match self {
            Self::V1(leaf) => leaf.verify(limits, pid),
            Self::V2(leaf) => leaf.verify(limits, pid),
            Self::Sampled(leaf) => leaf.verify(limits, pid),
        }
    }

    /// What was counted so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        match self {
            Self::V1(leaf) => leaf.usage(),
            Self::V2(leaf) => leaf.usage(),
            Self::Sampled(leaf) => leaf.usage(),
        }
    }

    /// Processor time since the leaf was made, alone: what a watchdog asks for again and again.
    #[must_use]
    pub fn cpu_time(&self) -> Option<CpuTime> {
        match self {
            Self::V1(leaf) => leaf.cpu_time(),
            Self::V2(leaf) => leaf.cpu_time(),
            Self::Sampled(leaf) => leaf.cpu_time(),
        }
    }

    /// Processes that were killed for memory, alone.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        match self {
            Self::V1(leaf) => leaf.oom_kills(),
            Self::V2(leaf) => leaf.oom_kills(),
            Self::Sampled(_) => None,
        }
    }

    /// The most processes and threads that were alive at once, the container's process 1 not counted.
    #[must_use]
    pub fn pids_peak(&self) -> Option<Pids> {
        match self {
            Self::V1(leaf) => leaf.pids_peak(),
            Self::V2(leaf) => leaf.pids_peak(),
            Self::Sampled(_) => None,
        }
    }

    /// The most memory held at once, alone.
    #[must_use]
    pub fn memory_peak(&self) -> Option<Bytes> {
        match self {
            Self::V1(leaf) => leaf.memory_peak(),
            Self::V2(leaf) => leaf.memory_peak(),
            Self::Sampled(leaf) => leaf.usage().memory_peak,
        }
    }

    /// Whether nobody is in the group but, at most, the container's process 1: every other process that there was has ended
    /// and was waited for. It cannot change back: process 1, once it has reported, starts nothing. Where nobody
    /// counts, nobody knows.
    #[must_use]
    pub fn is_deserted(&self) -> bool {
        match self {
            Self::V1(leaf) => leaf.tasks(),
            Self::V2(leaf) => leaf.tasks(),
            Self::Sampled(_) => None,
        }
        .is_some_and(|tasks| tasks <= 1)
    }

    /// What the group holds now, where that has to be looked at from time to time; nothing where the kernel stops it.
    #[must_use]
    pub fn sampled_memory(&self) -> Option<Bytes> {
        match self {
            Self::V1(_) | Self::V2(_) => None,
            Self::Sampled(leaf) => Some(leaf.memory()),
        }
    }

    /// What was said of the program after its end; of use only where nothing counted.
    pub fn told(&self, cpu: CpuTime, max_rss: Bytes) {
        if let Self::Sampled(leaf) = self {
            leaf.told(cpu, max_rss);
        }
    }

    /// An eventfd that becomes readable when the group runs out of memory; only v1 needs one (v2 has
    /// `memory.oom.group`).
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn oom_event(&self) -> Result<Option<OwnedFd>, CgroupError> {
        match self {
            Self::V1(leaf) => leaf.oom_event().map(Some),
            Self::V2(_) | Self::Sampled(_) => Ok(None),
        }
    }

    /// Lets the group run unthrottled, so that what is to die need not wait for its next slice of time.
    pub fn lift_cpu(&self) {
        match self {
            Self::V1(leaf) => leaf.lift_cpu(),
            Self::V2(leaf) => leaf.lift_cpu(),
            Self::Sampled(_) => {}
        }
    }

    /// Kills every process in the group.
    pub fn kill(&self) {
        match self {
            Self::V1(leaf) => leaf.kill(),
            Self::V2(leaf) => leaf.kill(),
            // Whoever kills process 1 has killed them all.
            Self::Sampled(_) => {}
        }
    }

    /// Kills every process in the group but `spared`.
    pub fn kill_but(&self, spared: Pid) {
        match self {
            Self::V1(leaf) => leaf.kill_but(spared),
            Self::V2(leaf) => leaf.kill_but(spared),
            // Nobody's share is enforced, so that nobody waits for it.
            Self::Sampled(_) => {}
        }
    }

    /// Removes the group, which must be empty. One that cannot be is remembered, for [`Delegation::tidy`].
    ///
    /// # Errors
    /// When something is still in it, among others.
    pub fn remove(&self) -> Result<(), CgroupError> {
        match self {
            Self::V1(leaf) => leaf.remove(),
            Self::V2(leaf) => leaf.remove(),
            Self::Sampled(_) => Ok(()),
        }
    }
}

/// Microseconds of each [`CPU_PERIOD_US`] that a share amounts to; none where the step is not throttled.
#[must_use]
pub fn quota_us(share: Option<CpuShare>) -> Option<u64> {
    share.map(|percent| u64::from(percent.0) * CPU_PERIOD_US / 100)
}

/// Without the container's own process 1, which counts too.
fn without_init(peak: u64) -> Option<Pids> {
    u32::try_from(peak).ok().map(|n| Pids(n.saturating_sub(1)))
}

/// A container's own process 1 counts too.
#[must_use]
pub const fn with_init(pids: Pids) -> Pids {
    Pids(pids.0.saturating_add(1))
}
