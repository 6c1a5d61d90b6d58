//! What a process of the server uses, read from `/proc`.

use std::fs;
use std::path::{Path, PathBuf};

/// A process by its id.
#[derive(Clone, Copy, Debug)]
pub struct Process(u32);

impl Process {
    pub const fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// Its id.
    pub const fn id(self) -> u32 {
        self.0
    }

    /// The service itself: the only child of the outer process.
    pub fn child_of(pid: u32) -> Self {
        let children =
            fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("the children of the server");
        Self(children.split_whitespace().next().and_then(|child| child.parse().ok()).expect("a child"))
    }

    /// Memory that is resident, in KiB.
    pub fn rss_kib(self) -> u64 {
        self.field("VmRSS:")
    }

    /// The most memory that was ever resident, in KiB.
    pub fn peak_kib(self) -> u64 {
        self.field("VmHWM:")
    }

    /// The part of it that it shares with no other process of the same program, in KiB.
    pub fn own_kib(self) -> u64 {
        self.field("RssAnon:")
    }

    fn field(self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).expect("the state of the server");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("its memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Open descriptors.
    pub fn files(self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0)).expect("its files").count()
    }

    /// Mounts of its namespace.
    pub fn mounts(self) -> usize {
        fs::read_to_string(format!("/proc/{}/mountinfo", self.0)).expect("its mounts").lines().count()
    }

    /// Its root directory, as it sees it.
    pub fn root(self) -> PathBuf {
        format!("/proc/{}/root", self.0).into()
    }

    /// Its cgroups; none when it is gone.
    pub fn cgroups(self) -> Vec<PathBuf> {
        let table = fs::read_to_string(format!("/proc/{}/cgroup", self.0)).unwrap_or_default();
        let paths = table.lines().filter_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            Some(Path::new("/sys/fs/cgroup").join(controllers).join(path.trim_start_matches('/')))
        });
        paths.filter(|path| path.is_dir()).collect()
    }

    /// Every process below it. One that starts or ends meanwhile may be missing.
    pub fn descendants(self) -> Vec<Self> {
        let (mut found, mut waiting) = (Vec::new(), vec![self]);
        while let Some(at) = waiting.pop() {
            for thread in fs::read_dir(format!("/proc/{}/task", at.0)).into_iter().flatten().flatten() {
                let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
                let children = children.split_whitespace().filter_map(|child| child.parse().ok()).map(Self);
                waiting.extend(children.clone());
                found.extend(children);
            }
        }
        found
    }
}
