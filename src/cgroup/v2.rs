//! cgroup v2: one subtree, delegated to the user by systemd or by root (cgroups(7), "Cgroup delegation").
//!
//! ```text
//! <root of our cgroup namespace>/   no process, so that controllers may be enabled below it
//!     server/                       the service
//!     jobs/<leaf>/                  one container, made by the runtime
//! ```

use std::path::Path;
use std::sync::Arc;

use nix::unistd::Pid;

use super::behind::Behind;
use super::files::{Dir, keyed};
use super::swap;
use super::{CPU_PERIOD_US, CgroupError, LONG, SHORT, Usage};
use crate::model::{Bytes, CpuTime, Limits, Pids};

/// The controllers without which there are no limits to sell. systemd before 252 delegates no `cpu` to users; the set-up
/// mends that.
const NEEDED: [&str; 3] = ["memory", "pids", "cpu"];

/// Our subtree.
#[derive(Debug)]
pub struct Delegation {
    jobs: Arc<Dir>,
    behind: Arc<Behind>,
}

impl Delegation {
    /// Our own processes have left the root of the namespace already (`host::userns`).
    pub(super) fn take(mount: &Path) -> Result<Self, CgroupError> {
        let root = Dir::open(mount, "cgroup")?;
        let offered = root.read("cgroup.controllers")?;
        let has = |name: &str| offered.split_whitespace().any(|c| c == name);
        if let Some(missing) = NEEDED.into_iter().find(|c| !has(c)) {
            return Err(CgroupError::Missing(missing));
        }
        root.write("cgroup.subtree_control", "+memory +pids +cpu")?;
        let jobs = root.child("jobs")?;
        jobs.write("cgroup.subtree_control", "+memory +pids +cpu")?;
        let delegation = Self { jobs: Arc::new(jobs), behind: Arc::default() };
        delegation.sweep()?;
        delegation.probe()?;
        Ok(delegation)
    }

    fn sweep(&self) -> Result<(), CgroupError> {
        for name in self.jobs.children()? {
            let leaf = self.leaf(&name);
            // The dying would wait for their share.
            leaf.lift_cpu();
            leaf.kill();
            leaf.remove_within(&LONG)?;
        }
        Ok(())
    }

    /// Sets and reads back every limit once.
    fn probe(&self) -> Result<(), CgroupError> {
        let dir = self.jobs.child("probe")?;
        let memory = Bytes::mib(16).0.to_string();
        let share = format!("100000 {CPU_PERIOD_US}");
        let result =
            [("memory.max", memory.as_str()), ("memory.oom.group", "1"), ("pids.max", "8"), ("cpu.max", &share)]
                .into_iter()
                .try_for_each(|(file, value)| dir.write(file, value).and_then(|()| dir.expect(file, value)));
        let result = result.and_then(|()| if dir.has("memory.swap.max") { Ok(()) } else { swap::expect_none() });
        self.jobs.remove("probe")?;
        result
    }

    pub(super) fn leaf(&self, name: &str) -> Leaf {
        Leaf { jobs: self.jobs.clone(), name: name.to_owned(), behind: self.behind.clone() }
    }

    pub(super) fn tidy(&self) -> (usize, usize) {
        self.behind.again(|name| {
            let leaf = self.leaf(name);
            leaf.lift_cpu();
            leaf.kill();
            leaf.remove_within(&[])
        })
    }
}

/// The cgroup of one container. The runtime makes it, so that it may not be there yet, or not any more.
#[derive(Debug)]
pub struct Leaf {
    jobs: Arc<Dir>,
    name: String,
    behind: Arc<Behind>,
}

impl Leaf {
    /// Relative to the root of the cgroup namespace, which is where the runtime sees the mount.
    pub(super) fn oci_path(&self) -> String {
        format!("/jobs/{}", self.name)
    }

    /// The whole group goes when one of it is killed for memory (kernel 4.19).
    pub(super) fn arm(&self) -> Result<(), CgroupError> {
        self.jobs.existing(&self.name)?.write("memory.oom.group", "1")
    }

    pub(super) fn verify(&self, limits: &Limits, pid: Pid) -> Result<(), CgroupError> {
        let dir = self.jobs.existing(&self.name)?;
        dir.expect("memory.max", &limits.memory.0.to_string())?;
        dir.expect("memory.oom.group", "1")?;
        // Absent where the kernel was built without swap, or started without counting it.
        if dir.has("memory.swap.max") {
            dir.expect("memory.swap.max", "0")?;
        } else {
            swap::expect_none()?;
        }
        dir.expect("pids.max", &super::with_init(limits.pids).0.to_string())?;
        if let Some(quota_us) = super::quota_us(limits.cpu_share) {
            dir.expect("cpu.max", &format!("{quota_us} {CPU_PERIOD_US}"))?;
        }
        dir.expect_member(pid)
    }

    pub(super) fn usage(&self) -> Usage {
        let Ok(dir) = self.jobs.existing(&self.name) else { return Usage::default() };
        let cpu = dir.read("cpu.stat").ok();
        let of_cpu = |key| cpu.as_deref().and_then(|text| keyed(text, key));
        Usage {
            cpu_time: of_cpu("usage_usec").map(CpuTime),
            // Kernel 5.19.
            memory_peak: dir.number("memory.peak").map(Bytes),
            oom_kills: dir.keyed("memory.events", "oom_kill"),
            pids_refused: dir.keyed("pids.events", "max"),
            pids_peak: self.pids_peak(),
            throttled: of_cpu("nr_throttled"),
        }
    }

    pub(super) fn memory_peak(&self) -> Option<Bytes> {
        self.jobs.existing(&self.name).ok()?.number("memory.peak").map(Bytes)
    }

    /// Threads that were not waited for yet count too (`pids_release`, kernel/cgroup/pids.c).
    pub(super) fn tasks(&self) -> Option<u64> {
        self.jobs.existing(&self.name).ok()?.number("pids.current")
    }

    /// `cpu.stat` is there without the cpu controller too, in every cgroup but the root.
    pub(super) fn cpu_time(&self) -> Option<CpuTime> {
        self.jobs.existing(&self.name).ok()?.keyed("cpu.stat", "usage_usec").map(CpuTime)
    }

    /// Kernel 6.1.
    pub(super) fn pids_peak(&self) -> Option<Pids> {
        self.jobs.existing(&self.name).ok()?.number("pids.peak").and_then(super::without_init)
    }

    pub(super) fn oom_kills(&self) -> Option<u64> {
        self.jobs.existing(&self.name).ok()?.keyed("memory.events", "oom_kill")
    }

    pub(super) fn lift_cpu(&self) {
        // If it cannot be lifted the group dies all the same, a little later.
        let _ = self.jobs.existing(&self.name).and_then(|dir| dir.write("cpu.max", "max"));
    }

    pub(super) fn kill(&self) {
        let Ok(dir) = self.jobs.existing(&self.name) else { return };
        // `cgroup.kill` came with kernel 5.14.
        if dir.write("cgroup.kill", "1").is_err() {
            dir.kill_members(None);
        }
    }

    pub(super) fn kill_but(&self, spared: Pid) {
        if let Ok(dir) = self.jobs.existing(&self.name) {
            dir.kill_members(Some(spared));
        }
    }

    pub(super) fn remove(&self) -> Result<(), CgroupError> {
        self.behind.note(&self.name, self.remove_within(&SHORT))
    }

    fn remove_within(&self, pauses: &[u64]) -> Result<(), CgroupError> {
        let mut last = self.jobs.remove(&self.name);
        for pause_ms in pauses {
            // Busy for a moment after its last process was reaped; any other reason may pass as well.
            if last.is_ok() {
                return last;
            }
            std::thread::sleep(std::time::Duration::from_millis(*pause_ms));
            last = self.jobs.remove(&self.name);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CpuShare, Inodes, OpenFiles, WallTime};

    fn leaf(files: &[(&str, &str)]) -> (tempfile::TempDir, Leaf) {
        let jobs = tempfile::tempdir().unwrap();
        std::fs::create_dir(jobs.path().join("c0")).unwrap();
        for (file, text) in files {
            std::fs::write(jobs.path().join("c0").join(file), text).unwrap();
        }
        let dir = Dir::open(jobs.path(), "jobs").unwrap();
        (jobs, Leaf { jobs: Arc::new(dir), name: "c0".into(), behind: Arc::default() })
    }

    /// Without the cpu controller a group counts all the same; it is not throttled, and nobody says that it was not.
    #[test]
    fn processor_time_needs_no_controller() {
        let (_jobs, leaf) = leaf(&[("cpu.stat", "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n")]);
        assert_eq!(leaf.cpu_time(), Some(CpuTime(1234)));
        assert_eq!(leaf.usage(), Usage { cpu_time: Some(CpuTime(1234)), ..Usage::default() });
    }

    /// The files of a leaf as the runtime leaves them for these limits, once `arm` was called.
    const RIGHT: [(&str, &str); 6] = [
        ("memory.max", "104857600\n"),
        ("memory.oom.group", "1\n"),
        ("memory.swap.max", "0\n"),
        ("pids.max", "65\n"),
        ("cpu.max", "100000 1000000\n"),
        ("cgroup.procs", "7\n42\n"),
    ];

    /// No machine with cgroup v1 would notice if one of them were left out.
    #[test]
    fn each_limit_is_read_back() {
        let limits = Limits {
            memory: Bytes::mib(100),
            cpu_share: Some(CpuShare(10)),
            cpu_time: CpuTime(1),
            wall: WallTime(1),
            pids: Pids(64),
            open_files: OpenFiles(1),
            stack: Bytes(1),
            file_size: Bytes(1),
            output: Bytes(1),
            tmp: Bytes(1),
            tmp_inodes: Inodes(1),
        };
        let (_jobs, right) = leaf(&RIGHT);
        right.verify(&limits, Pid::from_raw(42)).unwrap();
        for at in 0..RIGHT.len() {
            for wrong in ["max\n", "0 0\n", "1000000000\n"] {
                let mut files = RIGHT;
                files[at].1 = wrong;
                let (_jobs, leaf) = leaf(&files);
                let said = leaf.verify(&limits, Pid::from_raw(42)).unwrap_err().to_string();
                assert!(said.contains(files[at].0) || files[at].0 == "cgroup.procs", "{}: {said}", files[at].0);
            }
        }
    }

    #[test]
    fn the_whole_group_is_to_go_for_memory() {
        let (jobs, leaf) = leaf(&[("memory.oom.group", "0")]);
        leaf.arm().unwrap();
        assert_eq!(std::fs::read_to_string(jobs.path().join("c0/memory.oom.group")).unwrap(), "1");
    }

    #[test]
    fn what_could_not_be_removed_is_tried_again() {
        let (jobs, leaf) = leaf(&[("cgroup.procs", "")]);
        let delegation = Delegation { jobs: leaf.jobs.clone(), behind: leaf.behind.clone() };
        assert!(leaf.remove().is_err(), "not empty");
        assert_eq!(delegation.tidy(), (0, 1));
        std::fs::remove_file(jobs.path().join("c0/cgroup.procs")).unwrap();
        assert_eq!(delegation.tidy(), (1, 0));
        assert!(!jobs.path().join("c0").exists());
        assert_eq!(delegation.tidy(), (0, 0));
    }

    #[test]
    fn every_count_is_read() {
        let (_jobs, leaf) = leaf(&[
            ("cpu.stat", "usage_usec 7\nnr_periods 3\nnr_throttled 2\nthrottled_usec 9\n"),
            ("memory.peak", "4096\n"),
            ("memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 3\noom_group_kill 1\n"),
            ("pids.events", "max 4\n"),
            ("pids.peak", "6\n"),
        ]);
        let expected = Usage {
            cpu_time: Some(CpuTime(7)),
            memory_peak: Some(Bytes(4096)),
            oom_kills: Some(3),
            pids_refused: Some(4),
            pids_peak: Some(Pids(5)),
            throttled: Some(2),
        };
        assert_eq!(leaf.usage(), expected);
    }

    /// With process 1 alone in it, or with nobody; where that cannot be read, nobody knows.
    #[test]
    fn a_group_is_deserted_once_all_but_process_1_are_gone() {
        for (tasks, expected) in [(Some("0\n"), true), (Some("1\n"), true), (Some("2\n"), false), (None, false)] {
            let files: Vec<_> = tasks.map(|text| ("pids.current", text)).into_iter().collect();
            let (_jobs, leaf) = leaf(&files);
            assert_eq!(crate::cgroup::Leaf::V2(leaf).is_deserted(), expected, "{tasks:?}");
        }
    }

    #[test]
    fn a_group_that_is_gone_says_nothing() {
        let (jobs, leaf) = leaf(&[]);
        drop(jobs);
        assert_eq!((leaf.usage(), leaf.oom_kills()), (Usage::default(), None));
    }
}
