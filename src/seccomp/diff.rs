//! What one filter lets through that another does not, call by call.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::calls;
use super::policy::{Policy, Test, When};
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
    /// What both allow with the same arguments, while it is not known that they refuse the others in the same way.
    pub rest: BTreeSet<String>,
    /// What cannot be compared: rules of one of the two contradict each other.
    pub unknown: BTreeSet<String>,
    /// How many calls meet the same under both.
    pub same: usize,
}

/// Holds `first` against `second`.
#[must_use]
pub fn compare(first: &Policy, second: &Policy) -> Difference {
    let mut found = Difference { names: [first.name.clone(), second.name.clone()], ..Difference::default() };
    for name in calls::here() {
        let both = [first, second];
        let [a, b] = both.map(|policy| policy.when(name));
        let say = || both.map(|policy| policy.condition(name));
        let refusals = both.map(|policy| policy.refusals(name));
        match (&a, &b) {
            (When::Undecided, _) | (_, When::Undecided) => drop(found.unknown.insert(name.to_owned())),
            (When::Never, When::Never) if refusals[0] == refusals[1] => found.same += 1,
            (When::Never, When::Never) => {
                let pair = refusals.map(|answers| answers.into_keys().collect::<Vec<_>>().join(" or "));
                found.refusals.entry(pair).or_default().insert(name.to_owned());
            }
            (_, When::Never) => drop(found.only_first.insert(name.to_owned(), first.condition(name))),
            (When::Never, _) => drop(found.only_second.insert(name.to_owned(), second.condition(name))),
            _ if a != b => drop(found.arguments.insert(name.to_owned(), say())),
            (When::Always, _) => found.same += 1,
            _ if alike(&refusals) => found.same += 1,
            _ => drop(found.rest.insert(name.to_owned())),
        }
    }
    found
}

/// Whether what is not allowed under either, which is the same, is known to be refused in the same way: by the same rules,
/// or because there is only one way.
fn alike([a, b]: &[BTreeMap<String, BTreeSet<Vec<Test>>>; 2]) -> bool {
    a == b || (a.len() == 1 && a.keys().eq(b.keys()))
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
        for (what, names) in [
            ("the same allowed, other arguments perhaps refused in another way", &self.rest),
            ("not known, for rules of one contradict each other", &self.unknown),
        ] {
            let _ = writeln!(text, "{what}: {}", names.len());
            wrapped(&mut text, "  ", &names.iter().map(String::as_str).collect::<Vec<_>>());
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
    fn a_list_of_refusals_is_a_list_of_exceptions() {
        let file =
            |rules: &str| parse("f", &format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{rules}]}}"#)).unwrap();
        let refused = |value: u64| {
            let args = format!(r#""args":[{{"index":0,"value":{value},"op":"SCMP_CMP_EQ"}}]"#);
            format!(r#"{{"names":["ptrace","bpf","mount"],"action":"SCMP_ACT_ERRNO",{args}}}"#)
        };
        let one = file(&refused(1));
        let found = compare(&one, &profile("run"));
        assert_eq!(found.only_first.get("ptrace").map(String::as_str), Some("any but argument 0 = 0x1"), "{found:?}");
        let found = compare(&one, &file(&refused(2)));
        assert_eq!(found.arguments.keys().collect::<Vec<_>>(), ["bpf", "mount", "ptrace"], "{found:?}");
        let found = compare(&one, &file(""));
        assert_eq!(found.arguments["bpf"], ["any but argument 0 = 0x1", "any"]);

        // The same is allowed; what else is refused in which way is another question.
        let list = |errno: u32, more: &str| {
            let rule =
                r#"{"names":["bpf"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_EQ"}]}"#;
            let start = format!(r#""defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":{errno}"#);
            parse("f", &format!(r#"{{{start},"syscalls":[{rule}{more}]}}"#)).unwrap()
        };
        assert!(compare(&list(1, ""), &list(38, "")).rest.contains("bpf"));
        assert!(compare(&list(1, ""), &list(1, "")).rest.is_empty());
        let contrary =
            r#",{"names":["bpf"],"action":"SCMP_ACT_KILL","args":[{"index":1,"value":1,"op":"SCMP_CMP_EQ"}]}"#;
        assert!(compare(&list(1, contrary), &list(1, contrary)).unknown.contains("bpf"));
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
