//! Everything that stands between a program and the host, one row each, and how a test takes it away. A row whose removal
//! no attack notices is a missing test.

use super::removal::{self, Bundle};

/// How it is taken away.
#[derive(Clone, Copy)]
pub enum How {
    /// The bundle is edited before the runtime reads it.
    Edit(fn(&mut Bundle)),
    /// The limit of this key gets this value.
    Limit(&'static str, u64),
    /// The service is another one, which has not confined itself (`unconfined.rs`).
    Service,
}

/// One thing that stops attacks.
#[derive(Clone, Copy)]
pub struct Layer {
    /// As headers name it.
    pub name: &'static str,
    /// Its removal.
    pub how: How,
}

/// The layer that is no container's own.
pub const SERVICE: &str = "confined-service";

const fn edit(name: &'static str, how: fn(&mut Bundle)) -> Layer {
    Layer { name, how: How::Edit(how) }
}

const fn limit(name: &'static str, key: &'static str, value: u64) -> Layer {
    Layer { name, how: How::Limit(key, value) }
}

/// All of them. Values of limits are more than any attack here needs and less than would hurt the machine.
pub const LAYERS: &[Layer] = &[
    edit("user-namespace", removal::user_namespace),
    edit("mount-namespace", removal::mount_namespace),
    edit("pid-namespace", removal::pid_namespace),
    edit("network-namespace", removal::network_namespace),
    edit("ipc-namespace", removal::ipc_namespace),
    edit("uts-namespace", removal::uts_namespace),
    edit("cgroup-namespace", removal::cgroup_namespace),
    edit("seccomp", removal::seccomp),
    edit("no-new-privileges", removal::no_new_privileges),
    edit("capabilities", removal::capabilities),
    // The job is neither root of its container nor has an id that another job has.
    edit("unprivileged-user", removal::unprivileged_user),
    edit("own-ids", removal::own_ids),
    // File systems.
    edit("own-root", removal::own_root),
    edit("read-only-root", removal::read_only_root),
    edit("protected-image", removal::protected_image),
    edit("own-inodes", removal::own_inodes),
    edit("read-only-code", removal::read_only_code),
    edit("read-only-devices", removal::read_only_devices),
    edit("read-only-proc", removal::read_only_proc),
    edit("nosuid", removal::nosuid),
    edit("nodev", removal::nodev),
    edit("noexec", removal::noexec),
    edit("fresh-tmp", removal::fresh_tmp),
    edit("proc-of-processes", removal::proc_of_processes),
    edit("no-sysfs", removal::no_sysfs),
    // What the program inherits.
    edit("clean-environment", removal::clean_environment),
    edit("closed-descriptors", removal::closed_descriptors),
    edit("hidden-init", removal::hidden_init),
    edit("closed-report", removal::closed_report),
    // Limits.
    limit("memory", "MEMORY_MIB", 2048),
    limit("pids", "PIDS", 4000),
    limit("cpu-share", "CPU_PERCENT", 0),
    limit("cpu-time", "CPU_SECONDS", 600),
    limit("wall-time", "WALL_MS", 60_000),
    limit("output", "OUTPUT_BYTES", 64 << 20),
    limit("tmp-size", "TMP_MIB", 2048),
    limit("tmp-inodes", "TMP_INODES", 100_000),
    limit("open-files", "OPEN_FILES", 16_384),
    limit("file-size", "FILE_MIB", 2048),
    limit("stack", "STACK_MIB", 1024),
    edit("core-size", removal::core_size),
    // What the service took from itself, and with that from everything that it starts.
    Layer { name: SERVICE, how: How::Service },
    edit("queued-signals", removal::queued_signals),
    edit("message-queues", removal::message_queues),
];

/// The row of this name.
pub fn named(name: &str) -> &'static Layer {
    LAYERS.iter().find(|layer| layer.name == name).unwrap_or_else(|| panic!("no layer is called {name}"))
}
