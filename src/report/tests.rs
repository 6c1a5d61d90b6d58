//! Each row of the two tables.

use super::*;
use crate::model::{Bound, Bytes, Captured, CpuShare, CpuTime, Elapsed, Enforcer, Inodes, OpenFiles, Pids, WallTime};

fn limits() -> Limits {
    Limits {
        memory: Bytes::mib(100),
        cpu_share: Some(CpuShare(10)),
        cpu_time: CpuTime::seconds(10),
        wall: WallTime::seconds(10),
        pids: Pids(64),
        open_files: OpenFiles(64),
        stack: Bytes::mib(8),
        file_size: Bytes::mib(64),
        output: Bytes::mib(8),
        tmp: Bytes::mib(64),
        tmp_inodes: Inodes(4096),
    }
}

fn exited(status: u8) -> Evidence {
    Evidence {
        wait: Some(WaitStatus::Exited(status)),
        oom_kills: Some(0),
        pids_refused: Some(0),
        ..Evidence::default()
    }
}

fn signaled(signal: u8) -> Evidence {
    Evidence { wait: Some(WaitStatus::Signaled(signal)), ..exited(0) }
}

fn stopped(stop: Stop) -> Evidence {
    Evidence { wait: None, stop: Some(stop), ..exited(0) }
}

/// As `evidence`, with a fork that was refused.
fn refused(evidence: Evidence) -> Evidence {
    Evidence { pids_refused: Some(1), ..evidence }
}

/// As `evidence`, after so many microseconds.
fn took(elapsed: u64, evidence: Evidence) -> Evidence {
    Evidence { elapsed: Some(Elapsed(elapsed)), ..evidence }
}

#[test]
fn every_row_of_the_table_for_a_run() {
    let cut = Captured { cut: true, ..Captured::default() };
    let rows: Vec<(&str, Evidence, Result<Verdict, Fault>)> = vec![
        ("ok: exit 0", exited(0), Ok(Verdict::Ok)),
        ("exit N", exited(7), Ok(Verdict::ExitStatus(7))),
        ("signal S", signaled(11), Ok(Verdict::Signal(11))),
        ("a bare SIGKILL is a signal", signaled(9), Ok(Verdict::Signal(9))),
        ("memory: parent survived", Evidence { oom_kills: Some(1), ..exited(0) }, Ok(Verdict::MemoryLimit)),
        ("memory: main process killed", Evidence { oom_kills: Some(1), ..signaled(9) }, Ok(Verdict::MemoryLimit)),
        ("memory: seen by the watchdog alone", stopped(Stop::Memory), Ok(Verdict::MemoryLimit)),
        (
            "memory wins over the time-out that followed",
            Evidence { oom_kills: Some(1), ..stopped(Stop::WallTime) },
            Ok(Verdict::MemoryLimit),
        ),
        ("counter unreadable is not out of memory", Evidence { oom_kills: None, ..exited(0) }, Ok(Verdict::Ok)),
        ("wall time", stopped(Stop::WallTime), Ok(Verdict::TimeLimit)),
        ("wall time, noticed at the end", took(10_000_001, exited(0)), Ok(Verdict::TimeLimit)),
        ("wall time, and another end", took(10_000_001, exited(1)), Ok(Verdict::TimeLimit)),
        ("wall time, to the microsecond", took(10_000_000, exited(0)), Ok(Verdict::Ok)),
        ("cpu time, by the watchdog", stopped(Stop::CpuTime), Ok(Verdict::CpuLimit)),
        (
            "cpu time, noticed at the end",
            Evidence { cpu_time: Some(CpuTime::seconds(10)), ..exited(0) },
            Ok(Verdict::CpuLimit),
        ),
        ("cpu time, just not used up", Evidence { cpu_time: Some(CpuTime(9_999_999)), ..exited(0) }, Ok(Verdict::Ok)),
        ("cpu time, of one process: SIGXCPU", signaled(24), Ok(Verdict::CpuLimit)),
        ("output", stopped(Stop::Output), Ok(Verdict::OutputLimit)),
        ("output cut, exit 0", Evidence { output: cut, ..exited(0) }, Ok(Verdict::OutputLimit)),
        ("processes: failed after a refused fork", refused(exited(1)), Ok(Verdict::ProcessLimit)),
        ("processes: ended by a signal after one", refused(signaled(6)), Ok(Verdict::ProcessLimit)),
        ("processes: a refused fork and success", refused(exited(0)), Ok(Verdict::Ok)),
        ("processes: the clock ended it", refused(stopped(Stop::WallTime)), Ok(Verdict::TimeLimit)),
        ("processes: counter unreadable", Evidence { pids_refused: None, ..exited(1) }, Ok(Verdict::ExitStatus(1))),
        ("file size: SIGXFSZ", signaled(25), Ok(Verdict::FileLimit)),
        ("file size, after a refused fork", refused(signaled(25)), Ok(Verdict::FileLimit)),
        ("seccomp: SIGSYS", signaled(31), Ok(Verdict::Seccomp)),
        ("seccomp, after a refused fork", refused(signaled(31)), Ok(Verdict::Seccomp)),
        (
            "cancelled wins over everything",
            Evidence { oom_kills: Some(1), ..stopped(Stop::Cancelled) },
            Ok(Verdict::Cancelled),
        ),
        ("internal: no report", Evidence { wait: None, ..exited(0) }, Err(Fault::NoEvidence)),
        (
            "internal: no report after a refused fork",
            refused(Evidence { wait: None, ..exited(0) }),
            Err(Fault::NoEvidence),
        ),
    ];
    for (name, evidence, expected) in rows {
        assert_eq!(classify(StepKind::Run, &evidence, &limits(), Enforcement::CgroupV1), expected, "{name}");
    }
}

#[test]
fn a_compiler_differs_in_its_exit_status_alone() {
    let rows: Vec<(&str, Evidence, Result<Verdict, Fault>)> = vec![
        ("exit 0", exited(0), Ok(Verdict::Ok)),
        ("compile error", exited(1), Ok(Verdict::CompileError(1))),
        ("a refused fork", refused(exited(1)), Ok(Verdict::ProcessLimit)),
        ("a crash", signaled(11), Ok(Verdict::Signal(11))),
        ("memory", Evidence { oom_kills: Some(1), ..exited(1) }, Ok(Verdict::MemoryLimit)),
        ("wall time", stopped(Stop::WallTime), Ok(Verdict::TimeLimit)),
        ("a file too large", signaled(25), Ok(Verdict::FileLimit)),
        ("no report", Evidence { wait: None, ..exited(0) }, Err(Fault::NoEvidence)),
    ];
    for (name, evidence, expected) in rows {
        assert_eq!(classify(StepKind::Compile, &evidence, &limits(), Enforcement::CgroupV1), expected, "{name}");
    }
}

fn concluded(evidence: Evidence, enforcement: Enforcement) -> crate::model::Bounds {
    bounds(&conclude(StepKind::Run, evidence, &limits(), enforcement).unwrap())
}

#[test]
fn every_limit_with_what_was_used_of_it() {
    let evidence = Evidence {
        pids_peak: Some(Pids(3)),
        throttled: Some(2),
        cpu_time: Some(CpuTime(300_000)),
        memory_peak: Some(Bytes::mib(7)),
        wall: Some(WallTime(2500)),
        output: Captured { seen: 12, ..Captured::default() },
        ..refused(exited(1))
    };
    let (v2, watchdog) = (Enforcer::CgroupV2, Enforcer::Watchdog);
    let seen = concluded(evidence, Enforcement::CgroupV2);
    let told = |enforced_by, fired| (enforced_by, Some(fired));
    assert_eq!(seen.memory, bound(Bytes::mib(100), Some(Bytes::mib(7)), told(v2, false)));
    assert_eq!(seen.pids, bound(Pids(64), Some(Pids(3)), told(v2, true)));
    assert_eq!(seen.cpu_share, Some(bound(CpuShare(10), Some(CpuShare(12)), told(v2, true))));
    assert_eq!(seen.cpu_time, bound(CpuTime::seconds(10), Some(CpuTime(300_000)), told(watchdog, false)));
    assert_eq!(seen.wall, bound(WallTime::seconds(10), Some(WallTime(2500)), told(watchdog, false)));
    assert_eq!(seen.output, bound(Bytes::mib(8), Some(Bytes(12)), told(watchdog, false)));
    assert_eq!(seen.file_size, bound(Bytes::mib(64), None, (Enforcer::Rlimit, None)));
    assert_eq!(seen.open_files, bound(OpenFiles(64), None, (Enforcer::Rlimit, None)));
    assert_eq!(seen.stack, bound(Bytes::mib(8), None, (Enforcer::Rlimit, None)));
    assert_eq!(seen.tmp, bound(Bytes::mib(64), None, (Enforcer::Tmpfs, None)));
    assert_eq!(seen.tmp_inodes, bound(Inodes(4096), None, (Enforcer::Tmpfs, None)));
    assert!(seen.weak().is_empty());
}

/// A step of less than two milliseconds was not twice as busy for it.
#[test]
fn the_share_of_a_short_step_is_reckoned_in_microseconds() {
    let short = Evidence { wall: Some(WallTime(1)), cpu_time: Some(CpuTime(1_000)), ..took(1_999, exited(0)) };
    let seen = concluded(short, Enforcement::CgroupV2);
    assert_eq!(seen.cpu_share.unwrap().used, Some(CpuShare(51)));
}

const fn bound<T>(bound: T, used: Option<T>, (enforced_by, fired): (Enforcer, Option<bool>)) -> Bound<T> {
    Bound { bound, used, enforced_by, fired }
}

#[test]
fn what_could_not_be_read_is_absent() {
    let seen = concluded(Evidence { wait: Some(WaitStatus::Exited(0)), ..Evidence::default() }, Enforcement::CgroupV1);
    assert_eq!(seen.memory, bound(Bytes::mib(100), None, (Enforcer::CgroupV1, None)));
    assert_eq!(seen.pids, bound(Pids(64), None, (Enforcer::CgroupV1, None)));
    assert_eq!(seen.cpu_share, Some(bound(CpuShare(10), None, (Enforcer::CgroupV1, None))));
    assert_eq!(seen.wall, bound(WallTime::seconds(10), None, (Enforcer::Watchdog, Some(false))));
}

#[test]
fn each_limit_that_fires_says_so() {
    let fired = |evidence| {
        let b = concluded(evidence, Enforcement::CgroupV1);
        let share = b.cpu_share.and_then(|b| b.fired);
        [
            ("memory", b.memory.fired),
            ("pids", b.pids.fired),
            ("cpu share", share),
            ("cpu time", b.cpu_time.fired),
            ("wall", b.wall.fired),
            ("output", b.output.fired),
            ("file size", b.file_size.fired),
        ]
        .into_iter()
        .filter_map(|(name, fired)| (fired == Some(true)).then_some(name))
        .collect::<Vec<_>>()
    };
    let rows: Vec<(Evidence, &[&str])> = vec![
        (exited(0), &[]),
        (Evidence { oom_kills: Some(2), ..exited(0) }, &["memory"]),
        (stopped(Stop::Memory), &["memory"]),
        (refused(exited(0)), &["pids"]),
        (refused(stopped(Stop::WallTime)), &["pids", "wall"]),
        (Evidence { throttled: Some(1), ..exited(0) }, &["cpu share"]),
        (stopped(Stop::CpuTime), &["cpu time"]),
        (Evidence { cpu_time: Some(CpuTime::seconds(10)), ..exited(0) }, &["cpu time"]),
        (signaled(24), &["cpu time"]),
        (stopped(Stop::Output), &["output"]),
        (signaled(25), &["file size"]),
    ];
    for (evidence, expected) in rows {
        assert_eq!(fired(evidence.clone()), expected, "{evidence:?}");
    }
}

#[test]
fn without_a_cgroup_every_weak_limit_is_named() {
    let seen = concluded(exited(0), Enforcement::Sampling);
    assert_eq!(seen.weak(), ["memory_bytes", "cpu_percent", "cpu_ms"]);
    assert_eq!(seen.pids.enforced_by, Enforcer::Rlimit);
}

/// A group cannot hold more than its limit but for what the kernel could not refuse; without one it can.
#[test]
fn without_a_cgroup_what_was_seen_of_memory_decides() {
    let seen = |held, enforcement| {
        let evidence = Evidence { memory_peak: Some(held), oom_kills: None, ..exited(0) };
        let step = conclude(StepKind::Run, evidence, &limits(), enforcement).unwrap();
        (step.verdict, bounds(&step).memory.fired)
    };
    let over = Bytes(Bytes::mib(100).0 + 1);
    assert_eq!(seen(over, Enforcement::Sampling), (Verdict::MemoryLimit, Some(true)));
    assert_eq!(seen(Bytes::mib(100), Enforcement::Sampling), (Verdict::Ok, None));
    assert_eq!(seen(over, Enforcement::CgroupV1), (Verdict::Ok, None));
}

#[test]
fn what_a_checker_s_ending_says_of_an_output() {
    for (checker, verdict) in [
        (Verdict::Ok, Verdict::Ok),
        (Verdict::ExitStatus(1), Verdict::WrongAnswer),
        (Verdict::ExitStatus(2), Verdict::WrongAnswer),
        (Verdict::ExitStatus(3), Verdict::CheckerFailed),
        (Verdict::Signal(6), Verdict::CheckerFailed),
        (Verdict::TimeLimit, Verdict::CheckerFailed),
        (Verdict::OutputLimit, Verdict::CheckerFailed),
        (Verdict::MemoryLimit, Verdict::CheckerFailed),
        (Verdict::Cancelled, Verdict::Cancelled),
    ] {
        assert_eq!(checked(checker), verdict, "{checker:?}");
    }
}
