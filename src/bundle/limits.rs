//! One [`Limits`] value as rlimits and, for cgroup v2, as the resources that the runtime sets.

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxCpuBuilder, LinuxMemoryBuilder, LinuxPidsBuilder, LinuxResources, LinuxResourcesBuilder, PosixRlimit,
    PosixRlimitBuilder, PosixRlimitType,
};

use crate::cgroup::{CPU_PERIOD_US, quota_us, with_init};
use crate::model::Limits;

/// How far the CPU time that a process may use is above what its group may, in seconds. The kernel counts from the start of
/// the process, and the init was a process of the runtime's before: runc's has taken 2 s where a processor is emulated.
const ABOVE: u64 = 5;

/// The CPU time of each process, in seconds: a second line of defence behind the group's limit, never the first to fire.
#[must_use]
pub fn cpu_seconds(limits: &Limits) -> u64 {
    limits.cpu_time.0.div_ceil(1_000_000) + ABOVE
}

/// Limits of each process (getrlimit(2)). What waits warm has `start_up` seconds of CPU time on top. The init sets two more,
/// which must not be here (`SHARED_LIMITS`).
pub(super) fn rlimits(limits: &Limits, core: u64, start_up: u64) -> Result<Vec<PosixRlimit>, OciSpecError> {
    let cpu_seconds = cpu_seconds(limits) + start_up;
    [
        // A core pattern that is a pipe starts a program outside the sandbox for every crash, and it asks no limit but one:
        // a limit of one byte, by which the kernel knows that such a program has crashed itself (fs/coredump.c). With less
        // than a page no file is written either. The filter keeps a job from lowering it.
        (PosixRlimitType::RlimitCore, core),
        (PosixRlimitType::RlimitCpu, cpu_seconds),
        (PosixRlimitType::RlimitFsize, limits.file_size.0),
        (PosixRlimitType::RlimitNofile, u64::from(limits.open_files.0)),
        (PosixRlimitType::RlimitStack, limits.stack.0),
        // Whatever the service itself was given: no real-time priority, and none above the usual one (0 is nice 20).
        (PosixRlimitType::RlimitNice, 0),
        (PosixRlimitType::RlimitRtprio, 0),
    ]
    .into_iter()
    .map(|(kind, value)| PosixRlimitBuilder::default().typ(kind).hard(value).soft(value).build())
    .collect()
}

/// What the runtime writes into the leaf. `swap` counts memory and swap together in this format, so that equal values
/// leave no swap.
pub(super) fn resources(limits: &Limits) -> Result<LinuxResources, OciSpecError> {
    let memory = i64::try_from(limits.memory.0).unwrap_or(i64::MAX);
    let pids = i64::from(with_init(limits.pids).0);
    let mut resources = LinuxResourcesBuilder::default()
        .memory(LinuxMemoryBuilder::default().limit(memory).swap(memory).build()?)
        .pids(LinuxPidsBuilder::default().limit(pids).build()?)
        .build()?;
    resources.set_devices(None);
    if let Some(quota) = quota_us(limits.cpu_share) {
        let quota = i64::try_from(quota).unwrap_or(i64::MAX);
        resources.set_cpu(Some(LinuxCpuBuilder::default().quota(quota).period(CPU_PERIOD_US).build()?));
    }
    Ok(resources)
}
