//! The seccomp profiles twice: as text against the installed libseccomp, and as the filter that a live job runs under.
//! A program in a job makes every system call there is; what it saw has to be what the profile says.

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/support.rs"]
#[allow(dead_code, reason = "each target uses its part of the harness")]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use casemate::seccomp::Profiles;
use serde_json::{Value, json};
use support::{Need, Runtime, Settings, account, command};

/// errno(3), x86 and ARM alike; signal(7).
const EPERM: i32 = 1;
const ENOSYS: i32 = 38;
const SIGSYS: i32 = 31;

/// x32 calls carry this bit (syscall(2), __X32_SYSCALL_BIT).
const X32: u64 = 0x4000_0000;

/// Every namespace of clone(2), but time, which shares its bit with the exit signal and is only for clone3 and unshare.
const NAMESPACES: [(&str, u64); 7] = [
    ("CLONE_NEWNS", 0x0002_0000),
    ("CLONE_NEWCGROUP", 0x0200_0000),
    ("CLONE_NEWUTS", 0x0400_0000),
    ("CLONE_NEWIPC", 0x0800_0000),
    ("CLONE_NEWUSER", 0x1000_0000),
    ("CLONE_NEWPID", 0x2000_0000),
    ("CLONE_NEWNET", 0x4000_0000),
];

/// A profile as the runtime reads it.
fn profile(name: &str) -> Value {
    serde_json::to_value(Profiles::load(None).unwrap().get(name).unwrap().to_oci().unwrap()).unwrap()
}

/// The number that libseccomp knows for a name; negative for a name of another architecture, nothing for none at all.
fn number(name: &str) -> Option<i64> {
    let said = Command::new("scmp_sys_resolver").arg(name).output().expect("scmp_sys_resolver");
    let number = String::from_utf8_lossy(&said.stdout).trim().parse().expect("a number");
    // __NR_SCMP_ERROR; what exists elsewhere has -10 000 and less.
    (number != -1).then_some(number)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn every_name_is_known_to_libseccomp() {
    needs!(Need::Resolver);
    assert_eq!((number("read"), number("no_such_call")), (Some(0), None), "the resolver is not what was expected");
    // A name that libseccomp does not know is left out of the filter in silence.
    for name in ["compile", "run"] {
        let filter = profile(name);
        let names = list(&filter["syscalls"]).iter().flat_map(|rule| list(&rule["names"]));
        let unknown: Vec<&str> = names.map(|n| n.as_str().unwrap()).filter(|n| number(n).is_none()).collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
}

#[test]
fn no_rule_says_what_holds_anyway() {
    for name in ["compile", "run"] {
        let filter = profile(name);
        assert_eq!((&filter["defaultAction"], &filter["defaultErrnoRet"]), (&json!("SCMP_ACT_ERRNO"), &json!(ENOSYS)));
        for rule in list(&filter["syscalls"]) {
            let same = rule["action"] == filter["defaultAction"] && rule["errnoRet"] == filter["defaultErrnoRet"];
            assert!(!same, "{name}: {rule}");
            assert!(rule["action"] == "SCMP_ACT_ALLOW" || rule["errnoRet"] == EPERM, "{name}: {rule}");
        }
    }
}

#[test]
fn every_rule_says_what_it_is_for() {
    for (name, text) in
        [("compile", include_str!("../seccomp/compile.json")), ("run", include_str!("../seccomp/run.json"))]
    {
        let file: Value = serde_json::from_str(text).unwrap();
        for rule in std::iter::once(&file).chain(list(&file["rules"])) {
            assert!(rule["comment"].as_str().is_some_and(|comment| comment.len() > 8), "{name}: {rule}");
        }
        assert!(list(&file["rules"]).iter().all(|rule| rule["group"].as_str().is_some_and(|g| !g.is_empty())));
    }
}

/// One call of the probe.
#[derive(Clone, Debug)]
struct Call {
    label: String,
    way: char,
    number: u64,
    args: [u64; 6],
}

impl Call {
    fn native(label: impl Into<String>, number: u64, args: &[u64]) -> Self {
        let mut six = [0; 6];
        six[..args.len()].copy_from_slice(args);
        Self { label: label.into(), way: 'n', number, args: six }
    }

    fn line(&self) -> String {
        let args: Vec<String> = self.args.iter().map(|arg| format!("{arg:x}")).collect();
        format!("{} {:x} {}\n", self.way, self.number, args.join(" "))
    }
}

/// Makes the calls in a job in the language C: for each 0, the errno, or the negative signal that ended the caller.
fn probe(runtime: Runtime, calls: &[Call]) -> Vec<i32> {
    let dir = account::directory("programs");
    let path = dir.path().join("syscalls.c");
    fs::write(&path, program!("c/syscalls.c")).expect("a program");
    account::give(&path);
    let input: String = calls.iter().map(Call::line).collect();
    // Unthrottled: a process for each call.
    let settings = Settings::new(runtime).limit(&["c"], "RUN", "CPU_PERCENT", 0);
    let seen = command::casemate(&settings, &["run", &path.display().to_string()], input.as_bytes());
    let said = String::from_utf8_lossy(&seen.stdout);
    let answers: Vec<i32> = said.lines().map(|line| line.parse().expect("a number")).collect();
    let err = String::from_utf8_lossy(&seen.stderr);
    assert_eq!(answers.len(), calls.len(), "the probe ended early: {:?} {err}", seen.status);
    answers
}

/// What the profile says of a call: the errno, or nothing where the kernel decides.
fn expected(filter: &Value, name: Option<&str>, args: [u64; 6]) -> Option<i32> {
    let holds = |arg: &Value| {
        let seen = args[usize::try_from(arg["index"].as_u64().unwrap()).unwrap()];
        let value = arg["value"].as_u64().unwrap();
        match arg["op"].as_str().unwrap() {
            "SCMP_CMP_EQ" => seen == value,
            "SCMP_CMP_MASKED_EQ" => seen & value == arg["valueTwo"].as_u64().unwrap(),
            other => panic!("an operator that this test does not know: {other}"),
        }
    };
    let speaks = |rule: &&Value| list(&rule["names"]).iter().any(|n| Some(n.as_str().unwrap()) == name);
    let rule = list(&filter["syscalls"]).iter().filter(speaks).find(|rule| list(&rule["args"]).iter().all(holds));
    match rule {
        Some(rule) if rule["action"] == "SCMP_ACT_ALLOW" => None,
        Some(rule) => Some(i32::try_from(rule["errnoRet"].as_u64().unwrap()).unwrap()),
        None => Some(i32::try_from(filter["defaultErrnoRet"].as_u64().unwrap()).unwrap()),
    }
}

/// Left out: they end, double or suspend the caller, return to a frame that is not there, or flush the whole machine.
const NOT_CALLED: [&str; 7] = ["exit", "exit_group", "fork", "vfork", "pause", "rt_sigreturn", "sync"];

/// Allowed, and the kernel itself has no such call, or none with such arguments.
const KERNEL_ENOSYS: [&str; 5] = ["epoll_ctl_old", "epoll_wait_old", "futex", "get_thread_area", "set_thread_area"];

/// Allowed, and the kernel itself refuses for want of a capability.
const KERNEL_EPERM: [&str; 3] = ["setgroups", "mknod", "mknodat"];

/// The kernel lets these pass without asking any filter, and serves them only from pages of its own: uretprobe since
/// Linux 6.14 ends a caller from elsewhere with SIGILL, uprobe since 6.18 gives ENXIO (kernel/seccomp.c,
/// arch/x86/kernel/uprobes.c). An older kernel asks the filter.
const NOT_FILTERED: [(u64, i32); 2] = [(335, -4), (336, 6)];

fn every_call_does_what_the_profile_says(runtime: Runtime) {
    needs!(Need::Resolver, Need::Sandbox(runtime));
    let filter = profile("run");
    let names: BTreeMap<u64, String> = list(&filter["syscalls"])
        .iter()
        .flat_map(|rule| list(&rule["names"]))
        .filter_map(|name| {
            let name = name.as_str().unwrap();
            Some((u64::try_from(number(name)?).ok()?, name.to_owned()))
        })
        .collect();
    // Invalid: no such file descriptor, address, signal or process. Whatever the profile does not name has no name here.
    let calls: Vec<Call> = (0..=470)
        .map(|n| Call::native(names.get(&n).cloned().unwrap_or_default(), n, &[u64::MAX; 6]))
        .filter(|call| !NOT_CALLED.contains(&call.label.as_str()))
        .collect();
    let mut wrong = Vec::new();
    let (mut refused, mut unknown, mut allowed) = (0, 0, 0);
    for (call, seen) in calls.iter().zip(probe(runtime, &calls)) {
        let name = names.get(&call.number).map(String::as_str);
        let wanted = expected(&filter, name, call.args);
        match wanted {
            Some(EPERM) => refused += 1,
            Some(_) => unknown += 1,
            None => allowed += 1,
        }
        let right = match wanted {
            Some(errno) => seen == errno || NOT_FILTERED.contains(&(call.number, seen)),
            None => {
                let by_kernel = |errno, list: &[&str]| seen != errno || list.contains(&call.label.as_str());
                seen != -SIGSYS && by_kernel(ENOSYS, &KERNEL_ENOSYS) && by_kernel(EPERM, &KERNEL_EPERM)
            }
        };
        if !right {
            wrong.push(format!("{} {:?}: {seen}, the profile says {wanted:?}", call.number, call.label));
        }
    }
    println!("{runtime:?}: {allowed} allowed, {refused} refused, {unknown} unknown");
    assert!(wrong.is_empty(), "errno, or negative a signal:\n{}", wrong.join("\n"));
    assert!(allowed > 200 && refused > 40 && unknown > 40, "the table is not what it was");
}

fn arguments_decide_where_they_should(runtime: Runtime) {
    needs!(Need::Resolver, Need::Sandbox(runtime));
    let filter = profile("run");
    let of = |name: &str| u64::try_from(number(name).expect("a name")).expect("a number of this architecture");
    let (ioctl, socket, socketpair, personality) = (of("ioctl"), of("socket"), of("socketpair"), of("personality"));
    let mut rows: Vec<(&str, Call)> = Vec::new();
    for (flag, value) in NAMESPACES {
        // 17 is SIGCHLD: without the flag this is fork.
        rows.push(("clone", Call::native(flag, of("clone"), &[value | 17])));
    }
    rows.push(("clone", Call::native("all of them", of("clone"), &[0x7e02_0000 | 17])));
    rows.push(("clone", Call::native("fork", of("clone"), &[17])));
    rows.push(("clone3", Call::native("clone3", of("clone3"), &[0, 0])));
    for (label, request) in [("TIOCSTI", 0x5412_u64), ("TIOCLINUX", 0x541c), ("TCGETS", 0x5401)] {
        for high in [0, 1, 0x8000_0000, 0xffff_ffff] {
            rows.push(("ioctl", Call::native(format!("{label} high {high:x}"), ioctl, &[0, request | (high << 32)])));
        }
    }
    for family in (0..=46).chain([1 << 32 | 1, 1 << 32 | 2, u64::MAX]) {
        // 1 is SOCK_STREAM.
        rows.push(("socket", Call::native(format!("socket family {family}"), socket, &[family, 1])));
        rows.push(("socketpair", Call::native(format!("pair of family {family}"), socketpair, &[family, 1])));
    }
    // READ_IMPLIES_EXEC, ADDR_COMPAT_LAYOUT, PER_LINUX32, all bits, and what is allowed.
    for persona in [0x0040_0000, 0x0020_0000, 8, u64::MAX, 0, 0x0004_0000, 0xffff_ffff] {
        rows.push(("personality", Call::native(format!("personality {persona:x}"), personality, &[persona])));
    }
    // RLIMIT_NOFILE is 7. Process 1 is the init, which has the job's uid, so that the kernel would let it be changed.
    for (label, pid) in [("own limits", 0), ("limits of the init", 1), ("limits of 0 with high bits", 1 << 32)] {
        rows.push(("prlimit64", Call::native(label, of("prlimit64"), &[pid, 7])));
    }
    // What one job could use up, or set going, for the whole machine.
    for name in ["io_setup", "syncfs"] {
        rows.push((name, Call::native(name, of(name), &[1])));
    }
    let calls: Vec<Call> = rows.iter().map(|(_, call)| call.clone()).collect();
    let mut wrong = Vec::new();
    for ((name, call), seen) in rows.iter().zip(probe(runtime, &calls)) {
        let wanted = expected(&filter, Some(name), call.args);
        let right = wanted.map_or(seen != ENOSYS && seen != EPERM, |errno| seen == errno);
        if !right {
            wrong.push(format!("{}: {seen}, the profile says {wanted:?}", call.label));
        }
        // Whatever the profile says.
        let open = [
            "fork",
            "socket family 1",
            "pair of family 1",
            "TCGETS",
            "personality 0",
            "personality 40000",
            "own limits",
        ];
        let may = open.iter().any(|label| call.label == *label) || call.label.starts_with("TCGETS high");
        let may = may || call.label == "personality ffffffff";
        if may != wanted.is_none() {
            wrong.push(format!("{}: the profile says {wanted:?}, this test disagrees", call.label));
        }
    }
    assert!(wrong.is_empty(), "errno, or negative a signal:\n{}", wrong.join("\n"));
}

fn other_ways_into_the_kernel_are_closed(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    if cfg!(not(target_arch = "x86_64")) {
        return; // There are none.
    }
    // getpid, getuid, write and mount: harmless ones that work natively, and one that does not.
    let x32 = [39, 102, 1, 165, 520].map(|n| Call::native(format!("x32 {n}"), X32 | n, &[u64::MAX; 6]));
    let old = [20, 199, 4, 21, 120].map(|n| Call { way: 'i', ..Call::native(format!("int 0x80 {n}"), n, &[0; 6]) });
    let calls: Vec<Call> = x32.into_iter().chain(old).collect();
    let seen = probe(runtime, &calls);
    let told: Vec<String> = calls.iter().zip(&seen).map(|(call, seen)| format!("{}: {seen}", call.label)).collect();
    println!("{runtime:?}: {}", told.join(", "));
    assert!(seen.iter().all(|seen| [-SIGSYS, ENOSYS].contains(seen)), "{}", told.join("\n"));
}

under_both_runtimes!(
    every_call_does_what_the_profile_says,
    arguments_decide_where_they_should,
    other_ways_into_the_kernel_are_closed,
);
