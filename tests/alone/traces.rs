//! What jobs leave on a machine: processes of the serving account's ids, cgroups, mounts, directories.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::account;

/// Everything that belongs to the service or to one of its jobs, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    pub processes: BTreeSet<String>,
    pub cgroups: BTreeSet<String>,
    pub mounts: BTreeSet<String>,
}

impl Traces {
    /// Looks.
    pub fn now() -> Self {
        Self { processes: processes(), cgroups: cgroups(), mounts: mounts() }
    }

    /// Looks once nothing changes any more: a job's answer is there before what it leaves is cleared away.
    pub fn settled(patience: Duration) -> Self {
        let deadline = Instant::now() + patience;
        let (mut last, mut same) = (Self::now(), 0);
        while same < 10 {
            assert!(Instant::now() < deadline, "it goes on changing: {last:#?}");
            thread::sleep(Duration::from_millis(20));
            let now = Self::now();
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        last
    }

    /// What is there now and was not in `self`. Asked again for a moment, since the kernel tears down in its own time.
    pub fn left_after(&self, patience: Duration) -> Vec<String> {
        let deadline = Instant::now() + patience;
        loop {
            let now = Self::now();
            let new = |kind: &str, before: &BTreeSet<String>, after: &BTreeSet<String>| -> Vec<String> {
                after.difference(before).map(|one| format!("{kind}: {one}")).collect()
            };
            let mut left = new("process", &self.processes, &now.processes);
            left.extend(new("cgroup", &self.cgroups, &now.cgroups));
            left.extend(new("mount", &self.mounts, &now.mounts));
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The uid ranges that are the service's: its own, and its subordinate ids.
fn ranges() -> Vec<(u32, u32)> {
    let uid = account::serving_uid();
    let mut all = account::lent_ids();
    // An ordinary user has other processes too: only those of his subordinate ids are certainly a job's.
    if account::is_root() {
        all.push((uid, 1));
    }
    all
}

/// `pid uid name` of every process of the service and its jobs, zombies apart.
pub fn processes() -> BTreeSet<String> {
    statuses().into_iter().map(|(pid, status)| format!("{pid} {} {}", uid(&status), field(&status, "Name:"))).collect()
}

/// How many processes of the service and its jobs ignore SIGTERM.
pub fn deaf() -> usize {
    let ignores = |status: &str| u64::from_str_radix(field(status, "SigIgn:"), 16).is_ok_and(|set| set >> 14 & 1 == 1);
    statuses().iter().filter(|(_, status)| ignores(status)).count()
}

/// By process id, `/proc/PID/status` of every process of the service and its jobs, zombies apart.
fn statuses() -> Vec<(String, String)> {
    let ranges = ranges();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        let uid = uid(&status);
        let ours = ranges.iter().any(|(first, count)| uid >= *first && uid - first < *count);
        if ours && !field(&status, "State:").starts_with('Z') {
            found.push((pid, status));
        }
    }
    found
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

fn uid(status: &str) -> u32 {
    field(status, "Uid:").split_whitespace().next().and_then(|uid| uid.parse().ok()).unwrap_or_default()
}

/// Every cgroup that is owned by the service or lies below one that is.
fn cgroups() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let ranges = ranges();
    let mut waiting = vec![(Path::new("/sys/fs/cgroup").to_path_buf(), false)];
    while let Some((directory, inside)) = waiting.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let Ok(metadata) = fs::symlink_metadata(entry.path()) else { continue };
            if !metadata.is_dir() {
                continue;
            }
            let owned = ranges.iter().any(|(first, count)| metadata.uid() >= *first && metadata.uid() - first < *count);
            let ours = inside || owned || entry.file_name().to_string_lossy().contains("casemate");
            if ours {
                found.insert(entry.path().display().to_string());
            }
            waiting.push((entry.path(), ours));
        }
    }
    found
}

/// The mount points of the host's own namespace.
fn mounts() -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned).collect()
}

/// Files and directories below `directory`.
pub fn tree(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(at) = waiting.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            found.insert(entry.path().display().to_string());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
        }
    }
    found
}
