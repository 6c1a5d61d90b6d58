//! No cgroup at all: what can be found out by looking at processes from time to time. Only where somebody asked for it by
//! name; every report says so.
//!
//! It sees the processes of one pid namespace (`/proc/<pid>/ns/pid`) and misses what comes and goes between two looks,
//! memory of the kernel's, and a memfd that nobody has mapped.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::unistd::Pid;
use rustix::process::{Resource, Rlimit, prlimit};

use super::{CgroupError, Usage};
use crate::model::{Bytes, CpuTime, Limits};

/// Where a container keeps files in memory (`bundle/mounts.rs`).
const IN_MEMORY: [&str; 3] = ["tmp", "dev/shm", "code"];

/// What a process may reserve beyond its limit of memory, in bytes.
const RESERVED: u64 = 16 << 30;

/// One container, once its process 1 is known.
#[derive(Debug, Default)]
pub struct Leaf {
    init: OnceLock<Pid>,
    /// Microseconds, the most that was seen.
    cpu: AtomicU64,
    /// Bytes, the most that was seen.
    memory: AtomicU64,
}

impl Leaf {
    /// Limits of each process and each user, for process 1 and so for all that come from it. Not in the bundle: crun
    /// applies those to itself first, and what it counts then is the processes of the service.
    pub(super) fn arm(&self, limits: &Limits, pid: Pid) -> Result<(), CgroupError> {
        for (resource, name, bound) in bounds(limits) {
            let both = Rlimit { current: Some(bound), maximum: Some(bound) };
            prlimit(rustix::process::Pid::from_raw(pid.as_raw()), resource, both).map_err(|errno| {
                CgroupError::File { action: "set", file: format!("{name} of process {pid}"), source: errno.into() }
            })?;
        }
        Ok(())
    }

    /// Reads them back, and begins to look at the container.
    pub(super) fn verify(&self, limits: &Limits, pid: Pid) -> Result<(), CgroupError> {
        let file = format!("process {pid}/limits");
        let text = fs::read_to_string(format!("/proc/{pid}/limits")).map_err(|source| CgroupError::File {
            action: "read",
            file: file.clone(),
            source,
        })?;
        for (_, name, bound) in bounds(limits) {
            let found = line(&text, name).unwrap_or_default();
            if found != bound.to_string() {
                return Err(CgroupError::Differs {
                    file,
                    found: found.to_owned(),
                    expected: format!("{name} {bound}"),
                });
            }
        }
        // One leaf, one container: nobody has set it before.
        let _ = self.init.set(pid);
        Ok(())
    }

    /// What the init said of the program and of the children that the program waited for.
    pub(super) fn told(&self, cpu: CpuTime, max_rss: Bytes) {
        self.cpu.fetch_max(cpu.0, Ordering::Relaxed);
        self.memory.fetch_max(max_rss.0, Ordering::Relaxed);
    }

    /// A look at the clocks of all processes. Those that ended count with whoever waited for them.
    pub(super) fn cpu_time(&self) -> Option<CpuTime> {
        let ticks: u64 = self.members().iter().filter_map(|process| stat(process)).sum();
        // Clock ticks are hundredths of a second for user space on every architecture that we know (time(7)).
        let now = ticks * 10_000;
        Some(CpuTime(self.cpu.fetch_max(now, Ordering::Relaxed).max(now)))
    }

    /// A look at the memory of all processes and at the file systems in memory.
    pub(super) fn memory(&self) -> Bytes {
        let (mut private, mut shared) = (0, 0);
        for process in self.members() {
            let Ok(text) = fs::read_to_string(process.join("smaps_rollup")) else { continue };
            private += kib(&text, "Pss_Anon:");
            shared += kib(&text, "Pss_Shmem:");
        }
        // A file of a tmpfs that is mapped is the same memory twice.
        let now = private + shared.max(self.files());
        Bytes(self.memory.fetch_max(now, Ordering::Relaxed).max(now))
    }

    pub(super) fn usage(&self) -> Usage {
        let seen = |value: &AtomicU64| Some(value.load(Ordering::Relaxed)).filter(|n| *n > 0);
        Usage { cpu_time: seen(&self.cpu).map(CpuTime), memory_peak: seen(&self.memory).map(Bytes), ..Usage::default() }
    }

    fn files(&self) -> u64 {
        let Some(init) = self.init.get() else { return 0 };
        let used = |place: &str| {
            let stat = rustix::fs::statvfs(format!("/proc/{init}/root/{place}")).ok()?;
            Some((stat.f_blocks - stat.f_bfree) * stat.f_frsize)
        };
        IN_MEMORY.iter().filter_map(|place| used(place)).sum()
    }

    /// `/proc/<pid>` of every process in the namespace.
    fn members(&self) -> Vec<PathBuf> {
        let Some(init) = self.init.get() else { return Vec::new() };
        let Ok(own) = fs::read_link(format!("/proc/{init}/ns/pid")) else { return Vec::new() };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
        let process = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.bytes().all(|byte| byte.is_ascii_digit())
        };
        entries.filter(process).filter(|path| fs::read_link(path.join("ns/pid")).is_ok_and(|at| at == own)).collect()
    }
}

/// What stands in for a group, by the names of `/proc/<pid>/limits`. Processes are counted for each user, which is as good
/// as for each job: a job's ids are its own. The address space is a last barrier, and so far above the limit of memory
/// that it refuses nobody who reserves much and uses little, as the Java virtual machine does.
fn bounds(limits: &Limits) -> [(Resource, &'static str, u64); 2] {
    [
        (Resource::Nproc, "Max processes", u64::from(super::with_init(limits.pids).0)),
        (Resource::As, "Max address space", limits.memory.0.saturating_add(RESERVED)),
    ]
}

/// The soft limit in a line of `/proc/<pid>/limits`.
fn line<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()
}

/// Bytes of a line of `smaps_rollup` (proc(5)); kernels before 5.9 do not tell the parts.
fn kib(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    value.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// User and system time of a process and of the children that it waited for, in ticks: fields 14 to 17 of
/// `/proc/<pid>/stat`, after a name in parentheses that may hold anything.
fn stat(process: &Path) -> Option<u64> {
    ticks(&fs::read_to_string(process.join("stat")).ok()?)
}

fn ticks(text: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<u64> = rest.split(' ').skip(11).take(4).filter_map(|field| field.parse().ok()).collect();
    (fields.len() == 4).then(|| fields.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_process_is_no_field() {
        let text = "7 (a) R 1 2) S 1 7 7 0 -1 4194304 100 0 0 0 11 22 33 44 20 0 1 0 5 1000 1 18446744073709551615";
        assert_eq!(ticks(text), Some(110));
        assert_eq!(ticks("7 (cut) S 1"), None);
    }

    #[test]
    fn lines_are_found_by_their_whole_name() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             65                   65                   processes \n\
                    Max address space         unlimited            unlimited            bytes     \n";
        assert_eq!(line(text, "Max processes"), Some("65"));
        assert_eq!(line(text, "Max address space"), Some("unlimited"));
        assert_eq!(line(text, "Max file size"), None);
        let text = "Pss:  100 kB\nPss_Anon:      12 kB\nPss_Shmem: 3 kB\n";
        assert_eq!((kib(text, "Pss_Anon:"), kib(text, "Pss_Shmem:"), kib(text, "Pss_File:")), (12288, 3072, 0));
    }

    #[test]
    fn the_most_that_was_seen_is_kept() {
        let leaf = Leaf::default();
        assert_eq!(leaf.usage(), Usage::default());
        // This process and its namespace stand for a container.
        leaf.init.set(nix::unistd::getpid()).unwrap();
        let held = vec![1_u8; 32 << 20];
        assert!(leaf.memory() >= Bytes(held.len() as u64), "{:?}", leaf.memory());
        drop(held);
        assert!(leaf.usage().memory_peak.is_some_and(|peak| peak >= Bytes::mib(32)));
        leaf.told(CpuTime(1 << 60), Bytes(1));
        assert_eq!(leaf.usage().cpu_time, Some(CpuTime(1 << 60)));
        assert_eq!(leaf.cpu_time(), Some(CpuTime(1 << 60)));
    }
}
