//! Who a container is: its namespaces and its own block of ids.

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    LinuxIdMapping, LinuxIdMappingBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType,
};

/// The user and group that a job runs as, inside its container.
pub const JOB_UID: u32 = 1000;

/// The ids of one container, as the service's user namespace counts them. No other live container has either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// What root of the container is outside.
    pub root: u32,
    /// What the job is outside.
    pub job: u32,
}

/// Two ids and no more: the image's files belong to neither.
pub(super) fn mappings(ids: Ids) -> Result<Vec<LinuxIdMapping>, OciSpecError> {
    [(0, ids.root), (JOB_UID, ids.job)]
        .into_iter()
        .map(|(inside, outside)| {
            LinuxIdMappingBuilder::default().container_id(inside).host_id(outside).size(1u32).build()
        })
        .collect()
}

/// New ones of every kind that a runtime of today knows, but for time, which would change what clocks say.
pub(super) fn namespaces() -> Result<Vec<LinuxNamespace>, OciSpecError> {
    use LinuxNamespaceType::{Cgroup, Ipc, Mount, Network, Pid, User, Uts};
    [User, Mount, Pid, Network, Ipc, Uts, Cgroup]
        .into_iter()
        .map(|kind| LinuxNamespaceBuilder::default().typ(kind).build())
        .collect()
}
