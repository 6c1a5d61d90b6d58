//! Which cgroup hierarchies this machine has and where, out of the text of `/proc/self/mountinfo` (proc(5)) and
//! `/proc/cgroups` (cgroups(7)). Parses text; opens nothing.

use std::fmt;
use std::path::{Path, PathBuf};

/// The controllers without which there are no limits.
pub const CONTROLLERS: [&str; 4] = ["memory", "pids", "cpu", "cpuacct"];

/// Where limits can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupLayout {
    /// One hierarchy for everything.
    V2 {
        /// Its mount point.
        mount: PathBuf,
    },
    /// A hierarchy for each controller, or for some of them together; also "hybrid" hosts, whose v2 tree has none of the
    /// controllers that we need. Two of the paths are equal where controllers are mounted together.
    V1 {
        /// Mount point of the memory controller.
        memory: PathBuf,
        /// Mount point of the pids controller.
        pids: PathBuf,
        /// Mount point of the cpu controller.
        cpu: PathBuf,
        /// Mount point of the cpuacct controller.
        cpuacct: PathBuf,
    },
    /// Nowhere.
    None(NoCgroup),
}

/// Why there is nowhere to set limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoCgroup {
    /// No cgroup file system is mounted.
    NotMounted,
    /// One is, but nothing can be written there, not even by root.
    ReadOnly,
    /// This controller is in no mounted hierarchy.
    Lacks(&'static str),
    /// This controller was switched off when the kernel was started.
    SwitchedOff(&'static str),
}

impl fmt::Display for NoCgroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMounted => f.write_str("no cgroup file system is mounted"),
            Self::ReadOnly => f.write_str("the cgroup file system is mounted read-only"),
            Self::Lacks(controller) => write!(f, "no mounted cgroup hierarchy has the {controller} controller"),
            Self::SwitchedOff(controller) => write!(f, "the {controller} controller is switched off in the kernel"),
        }
    }
}

struct Mount<'a> {
    point: PathBuf,
    whole: bool,
    v2: bool,
    read_only: bool,
    options: Vec<&'a str>,
}

/// `ID PARENT MAJ:MIN ROOT POINT OPTIONS [FIELDS…] - TYPE SOURCE SUPER_OPTIONS`
fn mount(line: &str) -> Option<Mount<'_>> {
    let (left, right) = line.split_once(" - ")?;
    let (mut left, mut right) = (left.split(' ').skip(3), right.split(' '));
    let (root, point, options) = (left.next()?, left.next()?, left.next()?);
    let (kind, _source, superblock) = (right.next()?, right.next()?, right.next()?);
    let v2 = match kind {
        "cgroup2" => true,
        "cgroup" => false,
        _ => return None,
    };
    Some(Mount {
        point: PathBuf::from(unescape(point)),
        whole: root == "/",
        v2,
        read_only: options.split(',').chain(superblock.split(',')).any(|option| option == "ro"),
        options: superblock.split(',').collect(),
    })
}

/// Space, tab, newline and backslash are written in octal there.
pub(in crate::host) fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

impl CgroupLayout {
    /// What `mountinfo` shows. `cgroups` is the text of `/proc/cgroups`, which only helps to say why a controller is
    /// missing: new kernels leave controllers without a v1 side out of it.
    ///
    /// A hierarchy mounted several times is taken where the whole of it is visible and writable, under `/sys/fs/cgroup`
    /// for preference.
    #[must_use]
    pub fn parse(mountinfo: &str, cgroups: &str) -> Self {
        let mut mounts: Vec<_> = mountinfo.lines().filter_map(mount).collect();
        mounts.sort_by_key(|mount| (mount.read_only, !mount.whole, !mount.point.starts_with("/sys/fs/cgroup")));
        if mounts.is_empty() {
            return Self::None(NoCgroup::NotMounted);
        }
        let at = |controller: &str| mounts.iter().find(|mount| !mount.v2 && mount.options.contains(&controller));
        let usable = |mount: &Mount<'_>, layout| {
            if mount.read_only { Self::None(NoCgroup::ReadOnly) } else { layout }
        };
        // A controller is in one hierarchy at a time, so the v2 tree has none that a v1 mount shows.
        if let Some(mount) = mounts.iter().find(|mount| mount.v2)
            && CONTROLLERS.iter().all(|controller| at(controller).is_none())
        {
            return usable(mount, Self::V2 { mount: mount.point.clone() });
        }
        let mut points = [const { None }; 4];
        for (place, controller) in points.iter_mut().zip(CONTROLLERS) {
            match at(controller) {
                Some(mount) if mount.read_only => return Self::None(NoCgroup::ReadOnly),
                Some(mount) => *place = Some(mount.point.clone()),
                None if switched_off(cgroups, controller) => return Self::None(NoCgroup::SwitchedOff(controller)),
                None => return Self::None(NoCgroup::Lacks(controller)),
            }
        }
        match points {
            [Some(memory), Some(pids), Some(cpu), Some(cpuacct)] => Self::V1 { memory, pids, cpu, cpuacct },
            _ => Self::None(NoCgroup::NotMounted),
        }
    }

    /// The directories called `name` that belong to a delegation, each once, at the top of every hierarchy that counts.
    #[must_use]
    pub fn directories(&self, name: &str) -> Vec<PathBuf> {
        let tops: Vec<&Path> = match self {
            Self::V2 { mount } => vec![mount],
            Self::V1 { memory, pids, cpu, cpuacct } => vec![memory, pids, cpu, cpuacct],
            Self::None(_) => Vec::new(),
        };
        let mut found: Vec<PathBuf> = Vec::new();
        for directory in tops.into_iter().map(|top| top.join(name)) {
            if !found.contains(&directory) {
                found.push(directory);
            }
        }
        found
    }
}

/// `NAME HIERARCHY NUMBER ENABLED`
fn switched_off(cgroups: &str, controller: &str) -> bool {
    cgroups.lines().any(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.first() == Some(&controller) && words.get(3) == Some(&"0")
    })
}

#[cfg(test)]
mod tests;
