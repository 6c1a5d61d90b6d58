//! cgroup v1, for hybrid hosts whose controllers are not on v2. A directory in each of four hierarchies was handed to
//! the user once by root; everything below it is ours.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::Pid;

use super::behind::Behind;
use super::files::Dir;
use super::swap::{self, Guard};
use super::{CPU_PERIOD_US, CgroupError, LONG, SHORT, Usage};
use crate::model::{Bytes, CpuTime, Limits, Pids};

/// The runtime works inside the leaf while it brings the container up, and its threads count there. runc is two Go programs
/// at once, which end when a thread is refused. What the job may have is set afterwards, before it is read back.
const RUNTIME_TASKS: u32 = 128;

/// The directories that were handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchies {
    /// In the memory controller's hierarchy.
    pub memory: PathBuf,
    /// In the pids controller's.
    pub pids: PathBuf,
    /// In the cpu controller's.
    pub cpu: PathBuf,
    /// In the cpuacct controller's; often the same directory as `cpu`.
    pub cpuacct: PathBuf,
}

#[derive(Debug)]
struct Four {
    memory: Dir,
    pids: Dir,
    cpu: Dir,
    cpuacct: Dir,
}

impl Four {
    fn each(&self, mut call: impl FnMut(&Dir) -> Result<(), CgroupError>) -> Result<(), CgroupError> {
        [&self.memory, &self.pids, &self.cpu, &self.cpuacct].into_iter().try_for_each(&mut call)
    }

    fn map(&self, call: impl Fn(&Dir) -> Result<Dir, CgroupError>) -> Result<Self, CgroupError> {
        Ok(Self {
            memory: call(&self.memory)?,
            pids: call(&self.pids)?,
            cpu: call(&self.cpu)?,
            cpuacct: call(&self.cpuacct)?,
        })
    }
}

/// Our part of four hierarchies.
#[derive(Debug)]
pub struct Delegation {
    top: Four,
    ours: std::sync::Arc<Four>,
    instance: String,
    guard: Guard,
    behind: std::sync::Arc<Behind>,
}

impl Guard {
    /// What can be set in `dir`, a memory group without processes.
    fn of(dir: &Dir) -> Result<Self, CgroupError> {
        let together = dir.has("memory.memsw.limit_in_bytes");
        let never = dir.write("memory.swappiness", "0").is_ok();
        Self::choose(together, never, &std::fs::read_to_string("/proc/swaps").unwrap_or_default())
    }

    /// To be called once the limit of memory is `bytes`: the two together may not be lower.
    fn set(self, dir: &Dir, bytes: &str) -> Result<(), CgroupError> {
        match self {
            Self::Together => dir.write("memory.memsw.limit_in_bytes", bytes),
            Self::Never => dir.write("memory.swappiness", "0"),
            Self::Nowhere => swap::expect_none(),
        }
    }

    fn expect(self, dir: &Dir, bytes: &str) -> Result<(), CgroupError> {
        match self {
            Self::Together => dir.expect("memory.memsw.limit_in_bytes", bytes),
            Self::Never => dir.expect("memory.swappiness", "0"),
            Self::Nowhere => swap::expect_none(),
        }
    }
}

impl Delegation {
    pub(super) fn take(hierarchies: &Hierarchies, instance: &str) -> Result<Self, CgroupError> {
        let top = Four {
            memory: Dir::open(&hierarchies.memory, "memory")?,
            pids: Dir::open(&hierarchies.pids, "pids")?,
            cpu: Dir::open(&hierarchies.cpu, "cpu")?,
            cpuacct: Dir::open(&hierarchies.cpuacct, "cpuacct")?,
        };
        let _turn = top.memory.wait_lock()?;
        sweep(&top)?;
        let ours = std::sync::Arc::new(top.map(|dir| dir.child(instance))?);
        // Held until this service ends, however it ends: what is not locked belongs to nobody any more.
        ours.memory.lock()?;
        let guard = Guard::of(&ours.memory)?;
        let behind = std::sync::Arc::default();
        let delegation = Self { top, ours, instance: instance.to_owned(), guard, behind };
        delegation.probe()?;
        Ok(delegation)
    }

    /// Sets and reads back every limit once.
    fn probe(&self) -> Result<(), CgroupError> {
        let leaf = self.make("probe", Bytes::mib(16), Pids(8))?;
        let result = leaf.arm_share(Some(100_000)).and_then(|()| {
            leaf.expect_limits(Bytes::mib(16), Pids(8), Some(100_000))?;
            leaf.dirs.cpuacct.number("cpuacct.usage").ok_or(CgroupError::Missing("cpuacct")).map(drop)
        });
        leaf.remove()?;
        result
    }

    pub(super) fn leaf(&self, name: &str, limits: &Limits) -> Result<Leaf, CgroupError> {
        let Pids(most) = super::with_init(limits.pids);
        self.make(name, limits.memory, Pids(most.saturating_add(RUNTIME_TASKS)))
    }

    pub(super) fn tidy(&self) -> (usize, usize) {
        self.behind.again(|name| {
            if let Ok(dir) = self.ours.cpu.existing(name) {
                // The dying would wait for their share.
                let _ = dir.write("cpu.cfs_quota_us", "-1");
            }
            if let Ok(dir) = self.ours.pids.existing(name) {
                dir.kill_members(None);
            }
            remove_everywhere(&self.ours, name, &[])
        })
    }

    fn make(&self, name: &str, memory: Bytes, pids: Pids) -> Result<Leaf, CgroupError> {
        let made = self.make_all(name, memory, pids);
        if made.is_err() {
            // What there is of it; the failure is the one to tell.
            let _ = self.behind.note(name, remove_everywhere(&self.ours, name, &SHORT));
        }
        made
    }

    fn make_all(&self, name: &str, memory: Bytes, pids: Pids) -> Result<Leaf, CgroupError> {
        let dirs = self.ours.map(|dir| if dir_is_shared(dir) { dir.child(name) } else { dir.new_child(name) })?;
        let guard = self.guard;
        let (parent, behind) = (self.ours.clone(), self.behind.clone());
        let leaf = Leaf { dirs, parent, name: name.to_owned(), guard, behind };
        let memory = memory.0.to_string();
        leaf.dirs.memory.write("memory.limit_in_bytes", &memory)?;
        leaf.guard.set(&leaf.dirs.memory, &memory)?;
        leaf.dirs.pids.write("pids.max", &pids.0.to_string())?;
        Ok(leaf)
    }
}

/// Removes what dead services of this user left behind. Those that live hold a lock on their directory in the memory
/// hierarchy.
fn sweep(top: &Four) -> Result<(), CgroupError> {
    let mut alive = Vec::new();
    let mut locks = Vec::new();
    for name in top.memory.children()? {
        let Ok(dir) = top.memory.existing(&name) else { continue };
        if dir.lock().is_ok() { locks.push(dir) } else { alive.push(name) }
    }
    let dead = |dir: &Dir| -> Result<Vec<String>, CgroupError> {
        Ok(dir.children()?.into_iter().filter(|name| !alive.contains(name)).collect())
    };
    for name in dead(&top.cpu)? {
        let Ok(service) = top.cpu.existing(&name) else { continue };
        for leaf in service.children()? {
            // The dying would wait for their share. Without the file the group has none.
            let _ = service.existing(&leaf)?.write("cpu.cfs_quota_us", "-1");
        }
    }
    top.each(|dir| {
        for name in dead(dir)? {
            let Ok(service) = dir.existing(&name) else { continue };
            for leaf in service.children()? {
                service.existing(&leaf)?.kill_members(None);
                remove_when_empty(&service, &leaf, &LONG)?;
            }
            remove_when_empty(dir, &name, &LONG)?;
        }
        Ok(())
    })
}

/// `cpu` and `cpuacct` may be one hierarchy, where the second of the two finds the directory made.
fn dir_is_shared(dir: &Dir) -> bool {
    dir.has("cpu.shares") && dir.has("cpuacct.usage")
}

impl Drop for Delegation {
    fn drop(&mut self) {
        // The empty directory of a service that ended well; one that is not empty is swept at the next start.
        let _ = self.top.each(|dir| dir.remove(&self.instance));
    }
}

/// The four directories of one container.
#[derive(Debug)]
pub struct Leaf {
    dirs: Four,
    parent: std::sync::Arc<Four>,
    name: String,
    guard: Guard,
    behind: std::sync::Arc<Behind>,
}

impl Leaf {
    pub(super) fn join(&self) -> Result<Vec<OwnedFd>, CgroupError> {
        let mut open = Vec::with_capacity(4);
        self.dirs.each(|dir| {
            open.push(dir.writable("cgroup.procs")?);
            Ok(())
        })?;
        Ok(open)
    }

    pub(super) fn arm(&self, limits: &Limits) -> Result<(), CgroupError> {
        self.dirs.pids.write("pids.max", &super::with_init(limits.pids).0.to_string())?;
        self.arm_share(super::quota_us(limits.cpu_share))
    }

    fn arm_share(&self, quota_us: Option<u64>) -> Result<(), CgroupError> {
        let Some(quota_us) = quota_us else { return Ok(()) };
        self.dirs.cpu.write("cpu.cfs_period_us", &CPU_PERIOD_US.to_string())?;
        self.dirs.cpu.write("cpu.cfs_quota_us", &quota_us.to_string())
    }

    pub(super) fn verify(&self, limits: &Limits, pid: Pid) -> Result<(), CgroupError> {
        self.expect_limits(limits.memory, super::with_init(limits.pids), super::quota_us(limits.cpu_share))?;
        self.dirs.each(|dir| dir.expect_member(pid))
    }

    fn expect_limits(&self, memory: Bytes, pids: Pids, quota_us: Option<u64>) -> Result<(), CgroupError> {
        let bytes = memory.0.to_string();
        self.dirs.memory.expect("memory.limit_in_bytes", &bytes)?;
        self.guard.expect(&self.dirs.memory, &bytes)?;
        self.dirs.pids.expect("pids.max", &pids.0.to_string())?;
        let Some(quota_us) = quota_us else { return Ok(()) };
        self.dirs.cpu.expect("cpu.cfs_period_us", &CPU_PERIOD_US.to_string())?;
        self.dirs.cpu.expect("cpu.cfs_quota_us", &quota_us.to_string())
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            cpu_time: self.cpu_time(),
            memory_peak: self.memory_peak(),
            oom_kills: self.oom_kills(),
            pids_refused: self.dirs.pids.keyed("pids.events", "max"),
            pids_peak: self.pids_peak(),
            throttled: self.dirs.cpu.keyed("cpu.stat", "nr_throttled"),
        }
    }

    /// Needs the cpuacct controller only.
    pub(super) fn cpu_time(&self) -> Option<CpuTime> {
        self.dirs.cpuacct.number("cpuacct.usage").map(|ns| CpuTime(ns / 1000))
    }

    pub(super) fn memory_peak(&self) -> Option<Bytes> {
        self.dirs.memory.number("memory.max_usage_in_bytes").map(Bytes)
    }

    /// Threads that were not waited for yet count too (`pids_release`, kernel/cgroup/pids.c).
    pub(super) fn tasks(&self) -> Option<u64> {
        self.dirs.pids.number("pids.current")
    }

    /// Kernel 6.1.
    pub(super) fn pids_peak(&self) -> Option<Pids> {
        self.dirs.pids.number("pids.peak").and_then(super::without_init)
    }

    pub(super) fn oom_kills(&self) -> Option<u64> {
        self.dirs.memory.keyed("memory.oom_control", "oom_kill")
    }

    /// "Notification about OOM" in the kernel's `admin-guide/cgroup-v1/memory.rst`: an eventfd and an open
    /// `memory.oom_control`, registered through `cgroup.event_control`.
    pub(super) fn oom_event(&self) -> Result<OwnedFd, CgroupError> {
        let failed = |source: nix::errno::Errno| CgroupError::File {
            action: "register",
            file: "memory.oom_control".into(),
            source: source.into(),
        };
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map_err(failed)?;
        let control = self.dirs.memory.readable("memory.oom_control")?;
        let line = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
        self.dirs.memory.write("cgroup.event_control", &line)?;
        Ok(event.into())
    }

    pub(super) fn lift_cpu(&self) {
        // If it cannot be lifted the group dies all the same, a little later.
        let _ = self.dirs.cpu.write("cpu.cfs_quota_us", "-1");
    }

    pub(super) fn kill(&self) {
        self.dirs.pids.kill_members(None);
    }

    pub(super) fn kill_but(&self, spared: Pid) {
        self.dirs.pids.kill_members(Some(spared));
    }

    pub(super) fn remove(&self) -> Result<(), CgroupError> {
        self.behind.note(&self.name, remove_everywhere(&self.parent, &self.name, &SHORT))
    }
}

/// In each hierarchy, whatever happens in another; the first failure is told.
fn remove_everywhere(parent: &Four, name: &str, pauses: &[u64]) -> Result<(), CgroupError> {
    let mut failed = Ok(());
    parent.each(|dir| {
        let removed = remove_when_empty(dir, name, pauses);
        failed = std::mem::replace(&mut failed, Ok(())).and(removed);
        Ok(())
    })?;
    failed
}

/// A directory stays busy for a moment after its last process was reaped, and v1 has no event for it. Any other reason may
/// pass as well.
fn remove_when_empty(dir: &Dir, name: &str, pauses: &[u64]) -> Result<(), CgroupError> {
    for pause_ms in pauses {
        if dir.remove(name).is_ok() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(*pause_ms));
    }
    dir.remove(name)
}
