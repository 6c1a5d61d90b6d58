//! What a program asked of the kernel, summed up against the filter that it ran under. Of arguments only so much is told apart
//! as the filter looks at.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::calls;
use super::policy::{Answer, Case, Op, Policy, Said};
use super::profile::{ENOSYS, EPERM};
use crate::model::{Call, Calls, Fate, Seen};
use crate::sys::trace::{self, CLONE_UNTRACED, X32};

/// Different lines at most: all calls that there are, and some by their arguments.
const LINES: usize = 1024;

/// Lines that are kept where only refused calls are of interest.
const REFUSED: usize = 64;

/// See the module's documentation.
#[derive(Debug)]
pub struct Tally {
    policy: Policy,
    names: HashMap<u64, &'static str>,
    /// Whether what is allowed is summed up too.
    all: bool,
    lines: HashMap<Key, Call>,
    beyond: u64,
    incomplete: bool,
}

/// What makes two calls one line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    arch: u32,
    number: u64,
    killed: bool,
    seen: Vec<(u8, u64, u64)>,
    /// Which cases of the policy hold.
    cases: Vec<usize>,
}

impl Tally {
    /// Against this filter; without `all`, of what it does not allow alone, and of that what is most frequent.
    #[must_use]
    pub fn new(policy: Policy, all: bool) -> Self {
        Self { policy, names: calls::numbered().collect(), all, lines: HashMap::new(), beyond: 0, incomplete: false }
    }

    /// Takes note of a call.
    pub fn add(&mut self, call: &trace::Seen) {
        let native = call.native();
        let name = self.names.get(&call.number).copied().filter(|_| native);
        if name == Some("clone") && call.args[0] & CLONE_UNTRACED != 0 {
            self.incomplete = true;
        }
        let cases = name.map_or(&[][..], |name| self.policy.cases(name));
        let key = Key {
            arch: call.arch,
            number: call.number,
            killed: killed(call, native),
            seen: looked_at(cases, &call.args),
            cases: (0..cases.len()).filter(|&at| cases[at].holds(&call.args)).collect(),
        };
        if let Some(line) = self.lines.get_mut(&key) {
            line.count += 1;
            return;
        }
        let line = self.line(native, name, call, &key);
        if !self.all && line.fate == Fate::Allowed {
            return;
        }
        // What ended the program comes last.
        if self.lines.len() >= if key.killed { LINES + REFUSED } else { LINES } {
            self.beyond += 1;
            return;
        }
        self.lines.insert(key, line);
    }

    fn line(&self, native: bool, name: Option<&str>, call: &trace::Seen, key: &Key) -> Call {
        let shown = match name {
            Some(name) => name.to_owned(),
            None if native => call.number.cast_signed().to_string(),
            None if call.arch == trace::NATIVE => format!("{} of the x32 table", call.number & !X32),
            None => format!("{} of another table ({:#x})", call.number, call.arch),
        };
        let seen = key.seen.iter().map(|&(index, mask, value)| Seen { index, mask, value }).collect();
        let number = (if native { call.number } else { call.number & !X32 }).cast_signed();
        let line =
            |fate, group, why: String| Call { name: shown, number: Some(number), fate, group, seen, why, count: 1 };
        if !native || key.killed {
            // The filter ends whoever calls through a table that is closed; x32 may not exist at all.
            let why = "only the native table of calls is open".to_owned();
            let fate = if key.killed { Fate::Killed } else { Fate::Unknown };
            return line(fate, None, why);
        }
        let Said { answer, why } = self.policy.answer(name, call.args);
        let group = key.cases.first().and_then(|&at| self.policy.cases(name?).get(at)?.why.as_ref());
        let group = group.map(|why| why.group.clone());
        match answer {
            Answer::Allow => line(Fate::Allowed, group, why),
            Answer::Errno(EPERM) => line(Fate::Refused, group, why),
            Answer::Errno(ENOSYS) => line(Fate::Unknown, group, why),
            // What libseccomp made of the rules is seen by what came of the call.
            Answer::Undecided => {
                let fate = match call.end {
                    trace::End::Returned(-1) => Fate::Refused,
                    trace::End::Returned(-38) => Fate::Unknown,
                    _ => Fate::Allowed,
                };
                line(fate, group, why)
            }
            // No profile of ours has others.
            other => line(Fate::Refused, group, format!("{other}: {why}")),
        }
    }

    /// The sum: all by name, or what was refused by how often.
    #[must_use]
    pub fn calls(self) -> Calls {
        let mut calls: Vec<Call> = self.lines.into_values().collect();
        calls.sort();
        let mut sum = Calls { calls, beyond: self.beyond, incomplete: self.incomplete, unseen: false };
        if !self.all {
            // The one that ended the program is not left out.
            sum.calls.sort_by_key(|call| (call.fate != Fate::Killed, Reverse(call.count)));
            sum.shorten(REFUSED);
            sum.calls.sort_by_key(|call| Reverse(call.count));
        }
        sum
    }
}

/// Whether the filter ended whoever made this call, which it does for a closed table alone; the other threads of the program die of
/// the same signal in calls of their own. The last thread of a program is still seen leaving the call, with all its registers
/// as they were: the number stands where what is returned would (kernel/seccomp.c, `syscall_rollback`).
fn killed(call: &trace::Seen, native: bool) -> bool {
    match call.end {
        _ if native => false,
        trace::End::Killed => true,
        trace::End::Returned(value) => value.cast_unsigned() == call.number,
        trace::End::Ended => false,
    }
}

/// Of each argument that any case looks at, the bits that they look at. Where all they ask is whether it is a certain value,
/// it is that value or not told.
fn looked_at(cases: &[Case], args: &[u64; 6]) -> Vec<(u8, u64, u64)> {
    let each = (0_u8..).zip(args).filter_map(|(index, &value)| {
        let tests = || cases.iter().flat_map(|case| &case.tests).filter(|test| test.index == usize::from(index));
        let bits = tests().fold(0, |bits, test| match test.op {
            Op::Masked(mask) => bits | mask,
            Op::NotEqual if value != test.value => bits,
            _ => u64::MAX,
        });
        (bits != 0).then_some((index, bits, value & bits))
    });
    // Without a condition a case wins, and nothing was looked at.
    if cases.iter().any(|case| case.tests.is_empty()) { Vec::new() } else { each.collect() }
}

#[cfg(test)]
mod tests {
    use super::super::{Call as Named, Profiles};
    use super::*;
    use crate::sys::trace::End;

    fn calls(seen: &[(&str, &[u64], End)], all: bool) -> Calls {
        let profiles = Profiles::load(None).unwrap();
        let mut tally = Tally::new(Policy::of("run", profiles.get("run").unwrap()), all);
        for (name, words, end) in seen {
            let mut args = [0; 6];
            args[..words.len()].copy_from_slice(words);
            let number = Named::of(name).unwrap().number.unwrap();
            tally.add(&trace::Seen { arch: trace::NATIVE, number, args, end: *end });
        }
        tally.calls()
    }

    fn shown(calls: &Calls) -> Vec<String> {
        let seen = |seen: &Seen| format!(" {}&{:x}={:x}", seen.index, seen.mask, seen.value);
        let line = |call: &Call| {
            let with = call.seen.iter().map(seen).collect::<String>();
            format!("{} {:?}{with} {}", call.name, call.fate, call.count)
        };
        calls.calls.iter().map(line).collect()
    }

    #[test]
    fn calls_are_told_apart_by_what_the_filter_looks_at() {
        let ok = End::Returned(0);
        let seen = [
            ("read", &[3, 4][..], ok),
            ("read", &[5, 6], End::Ended),
            ("socket", &[2, 1], ok),
            ("socket", &[2, 2], ok),
            ("socket", &[16], ok),
            ("socket", &[1], ok),
            ("fcntl", &[7, 1, 9], ok),
            ("ptrace", &[1, 2, 3], ok),
            ("ptrace", &[4, 5, 6], ok),
            ("clone3", &[0xdead_beef], ok),
            ("mincore", &[0xdead_0000], ok),
            ("personality", &[8], ok),
        ];
        let whole = calls(&seen, true);
        let words = [
            "clone3 Unknown 1",
            "fcntl Allowed 1&ffffffff=1 1",
            "mincore Unknown 1",
            "personality Unknown 0&ffffffffffffffff=8 1",
            "ptrace Refused 2",
            "read Allowed 2",
            "socket Allowed 0&ffffffffffffffff=1 1",
            "socket Refused 0&ffffffffffffffff=10 1",
            "socket Refused 0&ffffffffffffffff=2 2",
        ];
        let mut lines = shown(&whole);
        lines.sort();
        assert_eq!(lines, words);
        let refused = calls(&seen, false);
        assert_eq!(refused.calls.len(), 6, "{refused:?}");
        assert!(refused.calls.iter().all(|call| call.fate != Fate::Allowed));
        let ptrace = refused.calls.iter().find(|call| call.name == "ptrace").unwrap();
        assert!(ptrace.group.is_some() && !ptrace.why.is_empty(), "{ptrace:?}");
    }

    #[test]
    fn other_tables_are_named_and_their_ends_too() {
        let profiles = Profiles::load(None).unwrap();
        let mut tally = Tally::new(Policy::of("run", profiles.get("run").unwrap()), false);
        let args = [0; 6];
        tally.add(&trace::Seen { arch: 0x4000_0003, number: 20, args, end: End::Killed });
        tally.add(&trace::Seen { arch: 0x4000_0003, number: 20, args, end: End::Returned(20) });
        tally.add(&trace::Seen { arch: trace::NATIVE, number: X32 | 39, args, end: End::Returned(-38) });
        tally.add(&trace::Seen { arch: trace::NATIVE, number: 499, args, end: End::Returned(-38) });
        tally.add(&trace::Seen { arch: trace::NATIVE, number: u64::MAX, args, end: End::Returned(-38) });
        // Another thread of the program that the filter ended: it died in a call that is allowed, and in one that is not.
        for name in ["read", "ptrace"] {
            let number = Named::of(name).unwrap().number.unwrap();
            tally.add(&trace::Seen { arch: trace::NATIVE, number, args, end: End::Killed });
        }
        let calls = tally.calls();
        let mut lines = shown(&calls);
        lines.sort();
        let words = [
            "-1 Unknown 1",
            "20 of another table (0x40000003) Killed 2",
            "39 of the x32 table Unknown 1",
            "499 Unknown 1",
            "ptrace Refused 1",
        ];
        assert_eq!(lines, words);
        let numbers: Vec<_> = calls.calls.iter().map(|call| (call.fate, call.number)).collect();
        for number in [(Fate::Killed, Some(20)), (Fate::Unknown, Some(39)), (Fate::Unknown, Some(-1))] {
            assert!(numbers.contains(&number), "{numbers:?}");
        }
    }

    #[test]
    fn what_finds_no_place_is_counted_and_what_is_not_watched_is_told() {
        let profiles = Profiles::load(None).unwrap();
        let number = Named::of("socket").unwrap().number.unwrap();
        for (all, place) in [(true, LINES + 1), (false, REFUSED)] {
            let mut tally = Tally::new(Policy::of("run", profiles.get("run").unwrap()), all);
            for family in (100..3000).chain([777, 777, 888]) {
                let args = [family, 0, 0, 0, 0, 0];
                tally.add(&trace::Seen { arch: trace::NATIVE, number, args, end: End::Returned(-1) });
            }
            // The last, and told all the same.
            tally.add(&trace::Seen { arch: 0x4000_0003, number: 20, args: [0; 6], end: End::Killed });
            let sum = tally.calls();
            let listed: u64 = sum.calls.iter().map(|call| call.count).sum();
            assert_eq!((sum.calls.len(), listed + sum.beyond), (place, 2904));
            assert!(sum.calls.iter().any(|call| call.fate == Fate::Killed) && !sum.incomplete && sum.truncated());
            let first: Vec<_> = sum.calls.iter().take(2).map(|call| (call.seen.first(), call.count)).collect();
            let most = [777, 888].map(|value| Seen { index: 0, mask: u64::MAX, value });
            assert_eq!(first == [(Some(&most[0]), 3), (Some(&most[1]), 2)], !all, "the most frequent first: {first:?}");
        }
        assert!(calls(&[("clone", &[CLONE_UNTRACED | 17], End::Returned(5))], false).incomplete);
    }
}
