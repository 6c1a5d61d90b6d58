//! What a container sees of file systems. Every mount point is in the image already: a runtime that had to make one
//! would need to write to the image.

use std::path::Path;

use oci_spec::OciSpecError;
use oci_spec::runtime::{Mount, MountBuilder};

use super::Plan;
use crate::model::{Bytes, CODE_PATH, Inodes};

/// In the order in which the runtime makes them.
pub(super) fn mounts(plan: &Plan<'_>) -> Result<Vec<Mount>, OciSpecError> {
    let code_access = if plan.code_writable { "rw" } else { "ro" };
    let mut all = vec![
        // Its own processes and nothing else (kernel 5.8): all the rest of /proc tells of the host, and changes with what
        // other jobs do (free memory, load, locks, context switches, entropy). So there is nothing to mask either. Read-only:
        // `loginuid` draws numbers that are counted for the whole machine, and writes to `autogroup` share one rate.
        mount("/proc", "proc", "proc", &["ro", "nosuid", "noexec", "nodev", "subset=pid"])?,
        // Holds device files, which `nodev` would make useless; only the container's root, which no process is, may
        // write there.
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "noexec", "strictatime", "mode=755", "size=64k", "nr_inodes=64"])?,
        // POSIX semaphores and shared memory live here (shm_overview(7)); Python's multiprocessing needs them.
        tmpfs("/dev/shm", plan.limits.tmp, plan.limits.tmp_inodes, &["noexec"])?,
        tmpfs("/tmp", plan.limits.tmp, plan.limits.tmp_inodes, &[])?,
    ];
    if let Some(code) = plan.code {
        all.push(bind(CODE_PATH, code, &[code_access])?);
    }
    for (destination, source) in plan.binds {
        all.push(bind(destination, source, &["ro"])?);
    }
    Ok(all)
}

fn tmpfs(destination: &str, size: Bytes, inodes: Inodes, more: &[&str]) -> Result<Mount, OciSpecError> {
    let (size, inodes) = (format!("size={size}"), format!("nr_inodes={}", inodes.0));
    let mut options = vec!["nosuid", "nodev", "mode=1777", &size, &inodes];
    options.extend_from_slice(more);
    mount(destination, "tmpfs", "tmpfs", &options)
}

fn bind(destination: &str, source: &Path, more: &[&str]) -> Result<Mount, OciSpecError> {
    let mut options = vec!["bind", "nosuid", "nodev"];
    options.extend_from_slice(more);
    mount(destination, "bind", source, &options)
}

fn mount(destination: &str, kind: &str, source: impl AsRef<Path>, options: &[&str]) -> Result<Mount, OciSpecError> {
    MountBuilder::default()
        .destination(destination)
        .typ(kind)
        .source(source.as_ref())
        .options(options.iter().map(|&o| o.to_owned()).collect::<Vec<_>>())
        .build()
}
