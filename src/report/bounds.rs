//! What became of each limit of a step: a pure function of its report.

use super::{cpu_time_is_up, wall_time_is_up};
use crate::model::{Bound, Bounds, Bytes, CpuShare, Enforcement, Enforcer, Evidence, StepReport, Stop, Verdict};

/// Every limit of the step.
///
/// Which limit *fired* is what the kernel counted or the service did, not what the verdict says: a program can have been
/// refused a fork and be ended by the clock. Of open files, stack and `/tmp` the kernel tells the program alone.
#[must_use]
pub fn bounds(step: &StepReport) -> Bounds {
    let StepReport { verdict, evidence, limits, enforcement } = step;
    let stopped = |stop| evidence.stop == Some(stop);
    let (group, pids, share, time) = match enforcement {
        Enforcement::CgroupV2 => (Enforcer::CgroupV2, Enforcer::CgroupV2, Enforcer::CgroupV2, Enforcer::Watchdog),
        Enforcement::CgroupV1 => (Enforcer::CgroupV1, Enforcer::CgroupV1, Enforcer::CgroupV1, Enforcer::Watchdog),
        Enforcement::Sampling => (Enforcer::Sampling, Enforcer::Rlimit, Enforcer::None, Enforcer::Sampling),
    };
    Bounds {
        memory: Bound {
            bound: limits.memory,
            used: evidence.memory_peak,
            enforced_by: group,
            fired: known(stopped(Stop::Memory) || *verdict == Verdict::MemoryLimit, evidence.oom_kills),
        },
        pids: Bound {
            bound: limits.pids,
            used: evidence.pids_peak,
            enforced_by: pids,
            fired: known(false, evidence.pids_refused),
        },
        cpu_share: limits.cpu_share.map(|bound| Bound {
            bound,
            used: average(evidence),
            enforced_by: share,
            fired: known(false, evidence.throttled),
        }),
        cpu_time: Bound {
            bound: limits.cpu_time,
            used: evidence.cpu_time,
            enforced_by: time,
            fired: Some(cpu_time_is_up(evidence, limits) || *verdict == Verdict::CpuLimit),
        },
        wall: Bound {
            bound: limits.wall,
            used: evidence.wall,
            enforced_by: Enforcer::Watchdog,
            fired: Some(wall_time_is_up(evidence, limits)),
        },
        output: Bound {
            bound: limits.output,
            used: Some(Bytes(evidence.output.seen)),
            enforced_by: Enforcer::Watchdog,
            fired: Some(stopped(Stop::Output) || evidence.output.cut),
        },
        file_size: Bound {
            // A program that ignores the signal is told by an error (setrlimit(2)), and nobody else is.
            fired: (*verdict == Verdict::FileLimit).then_some(true),
            ..untold(limits.file_size, Enforcer::Rlimit)
        },
        open_files: untold(limits.open_files, Enforcer::Rlimit),
        stack: untold(limits.stack, Enforcer::Rlimit),
        tmp: untold(limits.tmp, Enforcer::Tmpfs),
        tmp_inodes: untold(limits.tmp_inodes, Enforcer::Tmpfs),
    }
}

/// A limit whose use the kernel tells nobody but the program.
const fn untold<T>(bound: T, enforced_by: Enforcer) -> Bound<T> {
    Bound { bound, used: None, enforced_by, fired: None }
}

/// Whether it came into play: the service saw it, or the kernel counted. Without either nobody knows.
fn known(seen: bool, count: Option<u64>) -> Option<bool> {
    if seen { Some(true) } else { count.map(|n| n > 0) }
}

/// Percent of one processor over the whole step, rounded up; absent for a step too short to divide by.
fn average(evidence: &Evidence) -> Option<CpuShare> {
    // Whole milliseconds would make a short step a busier one than it was.
    let took = evidence.elapsed.map(|took| took.0).or(evidence.wall.map(|wall| wall.0.saturating_mul(1000)));
    let took = took.filter(|took| *took > 0)?;
    evidence.cpu_time?.0.saturating_mul(100).div_ceil(took).try_into().ok().map(CpuShare)
}
