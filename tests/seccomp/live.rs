//! The compiled filter at work in a job, under every profile.

use std::collections::BTreeSet;

use crate::filter::{ENOSYS, EPERM, SIGSYS, expected, filter, list, names, native, number, numbers};
use crate::probe::{Call, PROGRAM, Probe, answers, input, probe};
use crate::support::{Need, Runtime, scale};
use crate::table::{REFUSED, UNKNOWN, filtered};
use crate::{needs, under_both_runtimes};

/// x32 calls carry this bit (syscall(2), __X32_SYSCALL_BIT).
const X32: u64 = 0x4000_0000;

/// Left out: they end, double or suspend the caller, return to a frame that is not there, or end everybody at once.
const NOT_CALLED: [&str; 7] = ["exit", "exit_group", "fork", "vfork", "pause", "rt_sigreturn", "kill"];

/// Allowed, and the kernel itself has none with such arguments.
const KERNEL_ENOSYS: [&str; 1] = ["futex"];

/// Allowed, and not known to kernels before this one.
const SINCE: [(&str, (u32, u32)); 4] = [
    ("process_mrelease", (5, 15)),
    ("futex_waitv", (5, 16)),
    ("set_mempolicy_home_node", (5, 17)),
    ("fchmodat2", (6, 6)),
];

/// Whether a kernel of this release knows a call.
fn known(name: &str, release: &str) -> bool {
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let release = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    SINCE.iter().all(|(call, since)| *call != name || release >= *since)
}

#[test]
fn calls_are_as_old_as_their_kernel() {
    for (name, release, wanted) in [
        ("fchmodat2", "6.1.0-31-cloud-amd64", false),
        ("fchmodat2", "6.6.0", true),
        ("fchmodat2", "6.18.44-x", true),
        ("fchmodat2", "7.0", true),
        ("futex_waitv", "5.10.0-9", false),
        ("openat", "5.10.0-9", true),
    ] {
        assert_eq!(known(name, release), wanted, "{name} on {release}");
    }
}

/// Allowed, and the kernel itself refuses for want of a capability.
const KERNEL_EPERM: [&str; 3] = ["setgroups", "mknod", "mknodat"];

/// The kernel lets these pass without asking any filter, and serves them only from pages of its own: uretprobe since
/// Linux 6.14 ends a caller from elsewhere with SIGILL, uprobe since 6.18 gives ENXIO (kernel/seccomp.c,
/// arch/x86/kernel/uprobes.c). An older kernel asks the filter.
const NOT_FILTERED: [(u64, i32); 2] = [(335, -4), (336, 6)];

fn every_call_does_what_the_profile_says(runtime: Runtime) {
    needs!(Need::Resolver, Need::Sandbox(runtime));
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    for profile in names() {
        let filter = filter(&profile);
        let names = numbers(&filter);
        // Invalid: no such file descriptor, address, signal or process. What the profile does not name has no name here.
        let calls: Vec<Call> = (0..=500)
            .map(|n| Call::native(names.get(&n).cloned().unwrap_or_default(), n, &[u64::MAX; 6]))
            .filter(|call| !NOT_CALLED.contains(&call.label.as_str()))
            .collect();
        let mut wrong = Vec::new();
        let (mut refused, mut unknown, mut allowed) = (0, 0, 0);
        for (call, seen) in calls.iter().zip(probe(runtime, &profile, &calls)) {
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
                    let too_old = seen == ENOSYS && !known(&call.label, &release);
                    too_old || seen != -SIGSYS && by_kernel(ENOSYS, &KERNEL_ENOSYS) && by_kernel(EPERM, &KERNEL_EPERM)
                }
            };
            if !right {
                wrong.push(format!("{} {:?}: {seen}, the profile says {wanted:?}", call.number, call.label));
            }
        }
        println!("{runtime:?}, {profile}: {allowed} allowed, {refused} refused, {unknown} unknown");
        assert!(wrong.is_empty(), "{profile}: errno, or negative a signal:\n{}", wrong.join("\n"));
        assert!(allowed > 120 && refused > 70 && unknown > 100, "{profile}: the table is not what it was");
    }
}

fn what_must_be_refused_is(runtime: Runtime) {
    needs!(Need::Resolver, Need::Sandbox(runtime));
    let refused: Vec<(&str, i32)> = REFUSED.concat().into_iter().map(|name| (name, EPERM)).collect();
    let unknown = UNKNOWN.into_iter().map(|name| (name, ENOSYS));
    let wanted: Vec<(&str, i32)> = refused.iter().copied().chain(unknown).collect();
    // Some names exist on other architectures only.
    let here = |name: &str| number(name).is_some_and(|number| number >= 0);
    let wanted: Vec<(&str, i32)> = wanted.into_iter().filter(|(name, _)| here(name)).collect();
    let calls: Vec<Call> =
        wanted.iter().map(|(name, _)| Call::native(*name, native(name), &[u64::MAX; 6]).refused()).collect();
    for profile in names() {
        let seen = probe(runtime, &profile, &calls);
        let wrong: Vec<String> = wanted
            .iter()
            .zip(&seen)
            .filter(|((_, wanted), seen)| wanted != *seen)
            .map(|((name, wanted), seen)| format!("{name}: {seen} in place of {wanted}"))
            .collect();
        assert!(wrong.is_empty(), "{profile}: errno, or negative a signal:\n{}", wrong.join("\n"));
        // Nor is anything refused that this list does not know.
        let filter = filter(&profile);
        let plain = list(&filter["syscalls"]).iter().filter(|rule| rule["errnoRet"] == EPERM && rule["args"].is_null());
        let says: BTreeSet<&str> = plain.flat_map(|rule| list(&rule["names"])).map(|n| n.as_str().unwrap()).collect();
        assert_eq!(says, refused.iter().map(|(name, _)| *name).collect(), "{profile}");
    }
}

/// With such an argument the kernel itself refuses: nothing may be dropped from no capabilities, and seals are for memory.
fn kernel_refuses(name: &str, argument: u64) -> bool {
    matches!((name, argument), ("prctl", 24)) || (name == "fcntl" && argument & 0xffff_ffff == 1033)
}

fn arguments_decide_where_they_should(runtime: Runtime) {
    needs!(Need::Resolver, Need::Sandbox(runtime));
    let filtered = filtered();
    let mut rows = Vec::new();
    for row in &filtered {
        let number = native(row.name);
        for &argument in &row.tried {
            let args = [row.before, &[argument]].concat();
            rows.push((row, argument, Call::native(format!("{} {args:x?}", row.name), number, &args)));
        }
    }
    let calls: Vec<Call> = rows.iter().map(|(_, _, call)| call.clone()).collect();
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("the kernel's release");
    for profile in names() {
        let filter = filter(&profile);
        let mut wrong = Vec::new();
        for (row, argument, call) in &rows {
            let (said, wanted) = (expected(&filter, Some(row.name), call.args), row.wanted(&profile, *argument));
            if said != wanted {
                wrong.push(format!("{}: the profile says {said:?}, the table {wanted:?}", call.label));
            }
        }
        // Before any is made: a clone that must not be could do anything.
        assert!(wrong.is_empty(), "{profile}:\n{}", wrong.join("\n"));
        for ((row, argument, call), seen) in rows.iter().zip(probe(runtime, &profile, &calls)) {
            let wanted = row.wanted(&profile, *argument);
            let by_kernel = seen == EPERM && kernel_refuses(row.name, *argument);
            let by_kernel = by_kernel || seen == ENOSYS && !known(row.name, &release);
            let right = wanted.map_or((seen != ENOSYS && seen != EPERM) || by_kernel, |errno| seen == errno);
            if !right {
                wrong.push(format!("{}: {seen}, the table says {wanted:?}", call.label));
            }
        }
        println!("{runtime:?}, {profile}: {} calls", rows.len());
        assert!(wrong.is_empty(), "{profile}: errno, or negative a signal:\n{}", wrong.join("\n"));
        // Whatever has arguments in the profile is tried above.
        let with = list(&filter["syscalls"]).iter().filter(|rule| !rule["args"].is_null());
        let names: BTreeSet<&str> = with.flat_map(|rule| list(&rule["names"])).map(|n| n.as_str().unwrap()).collect();
        let tried: BTreeSet<&str> = filtered.iter().map(|row| row.name).collect();
        assert!(names.is_subset(&tried), "{profile}: not tried: {:?}", names.difference(&tried).collect::<Vec<_>>());
    }
}

fn other_ways_into_the_kernel_are_closed(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    if cfg!(not(target_arch = "x86_64")) {
        return; // There are none.
    }
    // All of x32, its own numbers from 512 too, and all of the 32-bit table.
    let x32 = (0..550).map(|n| Call::native(format!("x32 {n}"), X32 | n, &[u64::MAX; 6]));
    let old = (0..470).map(|n| Call { way: 'i', ..Call::native(format!("int 0x80 {n}"), n, &[0; 6]) });
    // A process for each takes long where processors are emulated: there some of them, spread over both tables.
    let step = if scale::factor() == 1 { 1 } else { 7 };
    let calls: Vec<Call> = x32.chain(old).step_by(step).collect();
    for profile in names() {
        let seen = probe(runtime, &profile, &calls);
        let wrong = calls.iter().zip(&seen).filter(|(_, seen)| ![-SIGSYS, ENOSYS].contains(seen));
        let wrong: Vec<String> = wrong.map(|(call, seen)| format!("{}: {seen}", call.label)).collect();
        assert!(wrong.is_empty(), "{profile}: errno, or negative a signal:\n{}", wrong.join("\n"));
        let ended = seen.iter().filter(|seen| **seen == -SIGSYS).count();
        println!("{runtime:?}, {profile}: {ended} of {} calls ended their caller", calls.len());
    }
}

/// The service keeps a filter that the runtime compiled and hands it to later containers: it has to be the same.
fn a_filter_that_is_kept_is_the_same(runtime: Runtime) {
    needs!(Need::Resolver, Need::Sandbox(runtime));
    let filter = filter("run");
    let of = |row: &crate::table::Filtered| {
        let (number, before) = (native(row.name), row.before);
        row.tried.iter().map(|&argument| Call::native(row.name, number, &[before, &[argument]].concat())).collect()
    };
    let filtered: Vec<Call> = filtered().iter().flat_map(|row| -> Vec<Call> { of(row) }).collect();
    let refused = REFUSED.concat().into_iter().filter(|name| number(name).is_some_and(|number| number >= 0));
    let refused = refused.map(|name| Call::native(name, native(name), &[u64::MAX; 6]));
    // Only what never reaches the kernel: its answer would not have to be the same each time.
    let calls: Vec<(Call, i32)> = refused
        .chain(filtered)
        .filter_map(|call| expected(&filter, Some(&call.label), call.args).map(|errno| (call.refused(), errno)))
        .collect();
    let (calls, wanted): (Vec<Call>, Vec<i32>) = calls.into_iter().unzip();
    let server = Probe::new(runtime, "run").server();
    for turn in 1..=4 {
        let seen = server.client().run("probe", PROGRAM, Some(&input(&calls)));
        assert_eq!(answers(seen.output()), wanted, "turn {turn}");
    }
}

under_both_runtimes!(
    a_filter_that_is_kept_is_the_same,
    every_call_does_what_the_profile_says,
    what_must_be_refused_is,
    arguments_decide_where_they_should,
    other_ways_into_the_kernel_are_closed,
);
