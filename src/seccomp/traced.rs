//! What the system calls of a step were, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::words::wrapped;
use crate::model::{Call, Calls, Fate, Seen};

/// A step whose calls were watched.
#[derive(Clone, Copy, Debug)]
pub struct Traced<'a> {
    /// `compile` or `run`.
    pub step: &'a str,
    /// The profile that it ran under.
    pub profile: &'a str,
    /// How it ended, in the word of the verdict.
    pub verdict: &'a str,
    /// What it asked for.
    pub calls: &'a Calls,
}

/// For people.
#[must_use]
pub fn as_text(steps: &[Traced<'_>]) -> String {
    let mut text = String::new();
    for Traced { step, profile, verdict, calls } in steps {
        let of = |fate: Fate| calls.calls.iter().filter(move |call| call.fate == fate);
        let asked: u64 = calls.calls.iter().map(|call| call.count).sum::<u64>() + calls.beyond;
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{step}, under the profile {profile}: {verdict}, {asked} system calls");
        for (fate, title) in [
            (Fate::Killed, "ended the program"),
            (Fate::Refused, "refused, EPERM"),
            (Fate::Unknown, "looked unknown, ENOSYS"),
        ] {
            if of(fate).next().is_some() {
                let _ = writeln!(text, "  {title}");
            }
            for call in of(fate) {
                let group = call.group.as_ref().map(|_| "group ").unwrap_or_default();
                let _ = writeln!(
                    text,
                    "    {:>7}  {}{}\n             {group}{}",
                    call.count,
                    call.name,
                    with(call),
                    call.why
                );
            }
        }
        let _ = writeln!(text, "  allowed");
        let allowed: Vec<String> = of(Fate::Allowed)
            .map(|call| format!("{}{}\u{d7}{}", call.name, with(call).replace(' ', "\u{a0}"), call.count))
            .collect();
        wrapped(&mut text, "    ", &allowed.iter().map(String::as_str).collect::<Vec<_>>());
        if calls.beyond > 0 {
            let _ =
                writeln!(text, "  and {} calls that are not listed: there were too many different ones", calls.beyond);
        }
        if calls.incomplete {
            let _ = writeln!(
                text,
                "  not all of it: the program started processes that ask not to be watched (CLONE_UNTRACED)"
            );
        }
    }
    text.replace('\u{a0}', " ")
}

/// A line for each call that was refused.
#[must_use]
pub fn refusals(calls: &Calls) -> Vec<String> {
    let line = |call: &Call| {
        let times = if call.count == 1 { "once".to_owned() } else { format!("{} times", call.count) };
        let answer = call.fate.errno().unwrap_or("it ended the program");
        format!("{}{}: {answer}, {times} ({})", call.name, with(call), call.why)
    };
    calls.calls.iter().filter(|call| call.fate != Fate::Allowed).map(line).collect()
}

fn with(call: &Call) -> String {
    let one = |seen: &Seen| {
        let bits = if seen.mask == u64::MAX { String::new() } else { format!(" & {:#x}", seen.mask) };
        format!("argument {}{bits} = {:#x}", seen.index, seen.value)
    };
    let all: Vec<String> = call.seen.iter().map(one).collect();
    if all.is_empty() { String::new() } else { format!(" with {}", all.join(", ")) }
}

/// For programs. Words of 64 bits are text, for not every reader of JSON has such numbers.
#[must_use]
pub fn as_json(steps: &[Traced<'_>]) -> Value {
    let call = |call: &Call| {
        let seen = |seen: &Seen| json!({"index": seen.index, "mask": format!("{:#x}", seen.mask), "value": format!("{:#x}", seen.value)});
        json!({
            "name": call.name,
            "fate": call.fate,
            "group": call.group,
            "arguments": call.seen.iter().map(seen).collect::<Vec<_>>(),
            "why": call.why,
            "count": call.count,
        })
    };
    let step = |traced: &Traced<'_>| {
        let Traced { step, profile, verdict, calls } = traced;
        json!({
            "step": step,
            "profile": profile,
            "verdict": verdict,
            "calls": calls.calls.iter().map(call).collect::<Vec<_>>(),
            "not_listed": calls.beyond,
            "incomplete": calls.incomplete,
        })
    };
    steps.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::{Policy, Profiles, Tally, addition};
    use crate::sys::trace::{End, NATIVE, Seen as Watched};

    /// `UPDATE_GOLDEN=1 cargo test --lib traced` writes the page anew.
    #[test]
    fn the_page_is_the_golden_one() {
        let profiles = Profiles::load(None).unwrap();
        let mut tally = Tally::new(Policy::of("run", profiles.get("run").unwrap()), true);
        let mut saw = |arch, name: &str, args: [u64; 6], end| {
            let number = super::super::Call::of(name).unwrap().number.unwrap();
            tally.add(&Watched { arch, number, args, end });
        };
        let ok = End::Returned(0);
        for _ in 0..3 {
            saw(NATIVE, "read", [0; 6], ok);
            saw(NATIVE, "mincore", [7, 8, 9, 0, 0, 0], End::Returned(-38));
        }
        saw(NATIVE, "socket", [1, 1, 0, 0, 0, 0], ok);
        saw(NATIVE, "fcntl", [3, 1, 0, 0, 0, 0], ok);
        saw(NATIVE, "socket", [2, 1, 0, 0, 0, 0], End::Returned(-1));
        saw(NATIVE, "ptrace", [0; 6], End::Returned(-1));
        saw(NATIVE, "personality", [8, 0, 0, 0, 0, 0], End::Returned(-38));
        saw(NATIVE, "clone3", [0; 6], End::Returned(-38));
        saw(NATIVE, "exit_group", [0; 6], End::Ended);
        saw(0x4000_0003, "20", [0; 6], End::Killed);
        let mut calls = tally.calls();
        (calls.beyond, calls.incomplete) = (4, true);
        let lines = refusals(&calls);
        assert_eq!(lines.len(), 6, "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("mincore: ENOSYS, 3 times (no rule names it)")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("socket with argument 0 = 0x2: EPERM, once (")), "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("(0x40000003): it ended the program, once (")), "{lines:#?}");
        let steps = [Traced { step: "run", profile: "run", verdict: "syscall_denied", calls: &calls }];
        let added = addition("mine", &steps, &profiles).unwrap();
        let page = format!(
            "{}\n{:#}\n\n{:#}\n\n{}",
            as_text(&steps),
            as_json(&steps),
            added.file.as_ref().unwrap(),
            added.text("mine", "/etc/casemate", "python")
        );
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/seccomp/trace.txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == page, "UPDATE_GOLDEN=1 cargo test --lib traced; now it is\n{page}");
    }
}
