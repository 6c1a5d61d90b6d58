//! Which limit each probe runs into, and what its report has to say if that limit holds: a pure table.

use std::collections::BTreeMap;
use std::io;

use crate::model::{Bytes, CpuTime, Enforcement, Inodes, Limits, OpenFiles, Pids, StepReport, Stop, Verdict, WallTime};

/// One container of the self-test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    Memory,
    Pids,
    CpuTime,
    WallTime,
    Output,
    FileSize,
    /// All that a process can find out by itself.
    Inside,
}

impl Probe {
    pub(super) const ALL: [Self; 7] =
        [Self::Memory, Self::Pids, Self::CpuTime, Self::WallTime, Self::Output, Self::FileSize, Self::Inside];

    /// What the program is told.
    pub(super) const fn argument(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::CpuTime => "cpu",
            Self::WallTime => "wall",
            Self::Output => "output",
            Self::FileSize => "file",
            Self::Inside => "inside",
        }
    }

    /// What people call the limit.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Pids => "processes",
            Self::CpuTime => "CPU time",
            Self::WallTime => "wall time",
            Self::Output => "output",
            Self::FileSize => "file size",
            Self::Inside => "what a process sees",
        }
    }

    /// Low where the limit is the one in question, else out of the way, so that no other can end the probe first.
    /// `patience` is what a slow machine may need: a probe that nothing stops waits for this.
    pub(super) const fn limits(self, patience: WallTime) -> Limits {
        let easy = Limits {
            // A runtime that joins the group first needs room in it; the probe touches 64 MiB.
            memory: Bytes::mib(48),
            cpu_share: None,
            cpu_time: CpuTime::seconds(5),
            wall: patience,
            pids: Pids(16),
            open_files: OpenFiles(64),
            stack: Bytes::mib(8),
            file_size: Bytes::mib(64),
            output: Bytes::mib(1),
            tmp: Bytes::mib(1),
            tmp_inodes: Inodes(64),
        };
        match self {
            Self::CpuTime => Limits { cpu_time: CpuTime(20_000), ..easy },
            Self::WallTime => Limits { wall: WallTime(50), ..easy },
            Self::Output => Limits { output: Bytes(10_000), ..easy },
            Self::FileSize => Limits { file_size: Bytes::mib(1), ..easy },
            Self::Memory | Self::Pids | Self::Inside => easy,
        }
    }

    /// The ending of the probe where its limit holds. RLIMIT_NPROC refuses a fork without counting it.
    const fn verdict(self, enforcement: Enforcement) -> Verdict {
        match (self, enforcement) {
            (Self::Memory, _) => Verdict::MemoryLimit,
            (Self::Pids, Enforcement::Sampling) => Verdict::ExitStatus(1),
            (Self::Pids, _) => Verdict::ProcessLimit,
            (Self::CpuTime, _) => Verdict::CpuLimit,
            (Self::WallTime, _) => Verdict::TimeLimit,
            (Self::Output, _) => Verdict::OutputLimit,
            (Self::FileSize, _) => Verdict::FileLimit,
            (Self::Inside, _) => Verdict::Ok,
        }
    }
}

/// The namespaces of a process, each by its kind, as `/proc/<pid>/ns` names them (namespaces(7)).
#[derive(Debug)]
pub(super) struct Namespaces(BTreeMap<String, String>);

impl Namespaces {
    const KINDS: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

    /// Those of the service.
    pub(super) fn own() -> io::Result<Self> {
        Self::KINDS
            .into_iter()
            .map(|kind| {
                let name = std::fs::read_link(format!("/proc/self/ns/{kind}"))?;
                Ok((kind.to_owned(), name.to_string_lossy().into_owned()))
            })
            .collect::<io::Result<_>>()
            .map(Self)
    }
}

/// The names of the limits that did not hold.
pub(super) fn open(probe: Probe, report: &StepReport, own: &Namespaces) -> Vec<String> {
    // A limit that is seen to be passed and stops nobody lets the clock run out.
    let late = probe != Probe::WallTime && report.evidence.stop == Some(Stop::WallTime);
    if late || report.verdict != probe.verdict(report.enforcement) {
        return vec![format!("{} ({:?})", probe.name(), report.verdict)];
    }
    if probe != Probe::Inside {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&report.evidence.output.stdout).into_owned();
    let mut open: Vec<String> = text.lines().filter_map(|l| l.strip_prefix("open ")).map(str::to_owned).collect();
    let at: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("at ")).collect();
    for (kind, own) in &own.0 {
        // `net:[4026531840]`; one that the probe could not name counts as shared.
        match at.iter().find(|name| name.split(':').next() == Some(kind)) {
            Some(name) if name != own => {}
            _ if kind == "net" => open.push("network".to_owned()),
            _ => open.push(format!("namespace {kind}")),
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Captured, Evidence};

    fn report(probe: Probe, verdict: Verdict, stdout: &str) -> StepReport {
        let output = Captured { stdout: stdout.as_bytes().to_vec(), ..Captured::default() };
        let evidence = Evidence { output, ..Evidence::default() };
        StepReport { verdict, evidence, limits: probe.limits(WallTime::seconds(5)), enforcement: Enforcement::CgroupV2 }
    }

    fn own() -> Namespaces {
        let all = Namespaces::KINDS.map(|kind| (kind.to_owned(), format!("{kind}:[1]")));
        Namespaces(all.into())
    }

    fn elsewhere() -> String {
        Namespaces::KINDS.map(|kind| format!("at {kind}:[2]\n")).concat()
    }

    #[test]
    fn a_probe_that_ends_otherwise_names_its_limit() {
        for probe in Probe::ALL {
            let held = report(probe, probe.verdict(Enforcement::CgroupV2), &elsewhere());
            assert_eq!(open(probe, &held, &own()), [""; 0], "{probe:?}");
            let passed = open(probe, &report(probe, Verdict::Signal(11), &elsewhere()), &own());
            assert_eq!(passed, [format!("{} (Signal(11))", probe.name())]);
        }
    }

    #[test]
    fn a_limit_that_is_only_noticed_does_not_hold() {
        let mut seen = report(Probe::Memory, Verdict::MemoryLimit, "");
        seen.evidence.stop = Some(Stop::WallTime);
        assert_eq!(open(Probe::Memory, &seen, &own()), ["memory (MemoryLimit)"]);
    }

    #[test]
    fn what_is_seen_from_inside_is_named() {
        let seen = |text: &str| open(Probe::Inside, &report(Probe::Inside, Verdict::Ok, text), &own());
        assert_eq!(seen(&format!("open seccomp\nopen tmpfs size\n{}", elsewhere())), ["seccomp", "tmpfs size"]);
        assert_eq!(seen(&elsewhere().replace("net:[2]", "net:[1]")), ["network"]);
        assert_eq!(seen(&elsewhere().replace("at pid:[2]\n", "")), ["namespace pid"]);
        assert_eq!(seen("").len(), Namespaces::KINDS.len());
    }

    #[test]
    fn without_a_cgroup_a_refused_fork_is_an_exit_status() {
        let mut seen = report(Probe::Pids, Verdict::ExitStatus(1), "");
        assert_eq!(open(Probe::Pids, &seen, &own()), ["processes (ExitStatus(1))"]);
        seen.enforcement = Enforcement::Sampling;
        assert_eq!(open(Probe::Pids, &seen, &own()), [""; 0]);
    }
}
