//! What `docker run IMAGE` gives a container that asks for nothing: the facts of moby's defaults, for comparison. Of Docker
//! Engine's sources in August 2026 (capabilities, mounts, namespaces, masks), on cgroup v2, and the filter of
//! `seccomp/docker.toml`.

use std::collections::BTreeMap;

use super::surface::{Mounted, Surface};
use crate::seccomp::{DOCKER_DEFAULT, ForeignError, docker_default as filter};

const CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// None of them a user namespace. The network is one of its own, with a route to the world through a bridge.
const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mount", "network", "pid", "time", "uts"];

const MOUNTS: [(&str, &str, &str); 7] = [
    ("/proc", "proc", "nosuid noexec nodev"),
    ("/dev", "tmpfs", "nosuid strictatime mode=755 size=65536k"),
    ("/dev/pts", "devpts", "nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5"),
    ("/sys", "sysfs", "nosuid noexec nodev ro"),
    ("/sys/fs/cgroup", "cgroup", "ro nosuid noexec nodev"),
    ("/dev/mqueue", "mqueue", "nosuid noexec nodev"),
    ("/dev/shm", "tmpfs", "nosuid noexec nodev mode=1777 size=67108864"),
];

const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A container that Docker makes without any option.
///
/// # Errors
/// When the facts about its filter cannot be read, which the unit tests exclude.
pub fn docker_default() -> Result<Surface, ForeignError> {
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let mount = |&(place, kind, options): &(&str, &str, &str)| {
        (
            place.to_owned(),
            Mounted { kind: kind.to_owned(), source: None, options: options.split(' ').map(str::to_owned).collect() },
        )
    };
    Ok(Surface {
        name: DOCKER_DEFAULT.to_owned(),
        capabilities: owned(&CAPABILITIES),
        new_privileges: true,
        uid: 0,
        terminal: false,
        root_writable: true,
        namespaces: owned(&NAMESPACES),
        mounts: MOUNTS.iter().map(mount).collect(),
        hooks: false,
        devices: 0,
        masked: owned(&MASKED),
        read_only: owned(&READ_ONLY),
        rlimits: BTreeMap::new(),
        group: Some(BTreeMap::new()),
        filter: filter()?,
        facts: None,
        uncompared: Vec::new(),
    })
}
