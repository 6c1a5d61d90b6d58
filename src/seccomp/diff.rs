//! What one filter lets through that another does not, call by call.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::calls;
use super::policy::{Answer, Policy};
use super::words::wrapped;

/// How two filters differ on the calls of this machine. Each call is in one of these or in `same`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Their names.
    pub names: [String; 2],
    /// What the first allows and the second never does, and under which condition.
    pub only_first: BTreeMap<String, String>,
    /// The reverse.
    pub only_second: BTreeMap<String, String>,
    /// What both allow, with other arguments: the first's condition and the second's.
    pub arguments: BTreeMap<String, [String; 2]>,
    /// What neither allows and each refuses in its own way: what the first says and what the second says.
    pub refusals: BTreeMap<[String; 2], BTreeSet<String>>,
    /// How many calls meet the same under both.
    pub same: usize,
}

/// Holds `first` against `second`.
#[must_use]
pub fn compare(first: &Policy, second: &Policy) -> Difference {
    let mut found = Difference { names: [first.name.clone(), second.name.clone()], ..Difference::default() };
    let whole = |policy: &Policy, name: &str| {
        let text = policy.condition(name);
        if policy.allowed(name).contains(&Vec::new()) || text.is_empty() { "any".to_owned() } else { text }
    };
    for name in calls::here() {
        let (a, b) = (first.allowed(name), second.allowed(name));
        let say = || [first, second].map(|policy| whole(policy, name));
        match (a.is_empty(), b.is_empty()) {
            (false, false) if a == b => found.same += 1,
            (false, false) => drop(found.arguments.insert(name.to_owned(), say())),
            (false, true) => drop(found.only_first.insert(name.to_owned(), whole(first, name))),
            (true, false) => drop(found.only_second.insert(name.to_owned(), whole(second, name))),
            (true, true) => match [first, second].map(|policy| policy.otherwise(name)) {
                [one, other] if one == other => found.same += 1,
                pair => drop(found.refusals.entry(pair.map(|answer| shown(&answer))).or_default().insert(name.into())),
            },
        }
    }
    found
}

fn shown(answer: &Answer) -> String {
    answer.to_string()
}

impl Difference {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let [first, second] = &self.names;
        let mut text = String::new();
        for (a, b, only) in [(first, second, &self.only_first), (second, first, &self.only_second)] {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{a} allows and {b} does not: {}", only.len());
            let free: Vec<&str> =
                only.iter().filter(|(_, when)| *when == "any").map(|(name, _)| name.as_str()).collect();
            wrapped(&mut text, "  ", &free);
            for (name, when) in only.iter().filter(|(_, when)| *when != "any") {
                let _ = writeln!(text, "  {name} with {when}");
            }
        }
        let _ = writeln!(text, "both allow, with other arguments: {}", self.arguments.len());
        for (name, [a, b]) in &self.arguments {
            let _ = writeln!(text, "  {name}\n    {first}: {a}\n    {second}: {b}");
        }
        let differing: usize = self.refusals.values().map(BTreeSet::len).sum();
        let _ = writeln!(text, "both refuse, in another way: {differing}");
        for ([a, b], names) in &self.refusals {
            let _ = writeln!(text, "  {first} {a}, {second} {b}:");
            wrapped(&mut text, "    ", &names.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let _ = writeln!(text, "the same under both: {}", self.same);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Profiles, docker_default, foreign::parse};
    use super::*;

    fn profile(name: &str) -> Policy {
        Policy::of(name, Profiles::load(None).unwrap().get(name).unwrap())
    }

    #[test]
    fn a_profile_does_not_differ_from_itself() {
        let found = compare(&profile("run"), &profile("run"));
        assert!(found.only_first.is_empty() && found.only_second.is_empty() && found.arguments.is_empty());
        assert!(found.refusals.is_empty() && found.same > 300, "{found:?}");
    }

    #[test]
    fn an_addition_is_all_that_it_adds() {
        let found = compare(&profile("run+java"), &profile("run"));
        assert_eq!(found.only_first.keys().collect::<Vec<_>>(), ["mincore"]);
        assert!(found.only_second.is_empty() && found.arguments.is_empty(), "{found:?}");
    }

    #[test]
    fn docker_allows_much_that_we_do_not_and_hardly_the_reverse() {
        let found = compare(&profile("run"), &docker_default().unwrap());
        for name in ["ptrace", "chroot", "splice", "sync", "inotify_init"] {
            assert!(found.only_second.contains_key(name), "{name}: {found:?}");
        }
        assert!(!found.arguments.contains_key("clone"), "the same flags are kept from both: {found:?}");
        assert!(found.arguments.contains_key("ioctl") && found.arguments.contains_key("socket"));
        let unknown = &found.refusals[&["ENOSYS".to_owned(), "EPERM".to_owned()]];
        assert!(unknown.contains("memfd_secret") || unknown.contains("uselib"), "{unknown:?}");
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let file = |rules: &str| {
            let text = format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{rules}]}}"#);
            parse("f", &text).unwrap()
        };
        let one =
            file(r#"{"names":["read"],"action":"SCMP_ACT_ALLOW"},{"names":["socket"],"action":"SCMP_ACT_ALLOW"}"#);
        let two = file(
            r#"{"names":["write"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]},
               {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]},
               {"names":["bpf"],"action":"SCMP_ACT_KILL"}"#,
        );
        let text = compare(&one, &two).text();
        for words in [
            "f allows and f does not: 1\n  read\n",
            "f allows and f does not: 1\n  write with argument 0 = 0x1\n",
            "both allow, with other arguments: 1\n  socket\n    f: any\n    f: argument 0 = 0x1\n",
            "both refuse, in another way: 1\n  f EPERM, f SCMP_ACT_KILL:\n    bpf\n",
        ] {
            assert!(text.contains(words), "{words:?} not in\n{text}");
        }
    }
}
