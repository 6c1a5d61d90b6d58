//! From what a program was refused to an addition that allows it: as little as that, and nothing that a rule refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::calls::Call as Named;
use super::format::{File, Rule};
use super::profile::Profile;
use super::traced::Traced;
use super::{ProfileError, Profiles};
use crate::model::{Call, Fate, Seen};

/// An addition, and what it cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addition {
    /// The file; none where there is nothing to add.
    pub file: Option<Value>,
    /// The profiles that come of it: for each step that asked for more, its own and the new one.
    pub profiles: Vec<(String, String)>,
    /// What was refused and stays so, a sentence each.
    pub stays: Vec<String>,
}

/// The addition `name` after which the steps are not told ENOSYS for what they asked for. What a rule refuses with EPERM no
/// addition allows: it would contradict the rule.
///
/// # Errors
/// When it would be no right addition, which is a mistake in this file.
pub fn addition(name: &str, steps: &[Traced<'_>], profiles: &Profiles) -> Result<Addition, Vec<ProfileError>> {
    let mut stays = BTreeSet::new();
    let mut adds: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    let mut made: BTreeMap<&str, String> = BTreeMap::new();
    for step in steps {
        let Some(profile) = profiles.get(step.profile) else { continue };
        let wanted: Vec<&Call> = step.calls.calls.iter().filter(|call| call.fate != Fate::Allowed).collect();
        let (add, stay): (Vec<&Call>, Vec<&Call>) =
            wanted.into_iter().partition(|call| refusal(call, profile).is_none());
        stays.extend(stay.into_iter().filter_map(|call| refusal(call, profile)));
        if !add.is_empty() {
            let rules = adds.entry(step.profile).or_default();
            for rule in rules_for(name, &add) {
                if !rules.contains(&rule) {
                    rules.push(rule);
                }
            }
            made.insert(step.profile, format!("{}+{name}", step.profile));
        }
    }
    let comment = "What programs asked for that ran under `casemate seccomp trace`, and no more.";
    let file = (!adds.is_empty()).then(|| json!({"comment": comment, "adds": adds}));
    if let Some(file) = &file {
        verify(name, file, profiles)?;
    }
    let profiles = made.into_iter().map(|(base, new)| (base.to_owned(), new)).collect();
    Ok(Addition { file, profiles, stays: stays.into_iter().collect() })
}

/// Why no addition can allow a call that was refused; `None` where one can.
fn refusal(call: &Call, profile: &Profile) -> Option<String> {
    let Call { name, why, .. } = call;
    match call.fate {
        Fate::Allowed => None,
        Fate::Killed => Some(format!("{name}: {why}; no profile opens another")),
        Fate::Refused => {
            let group = call.group.as_deref().unwrap_or_default();
            Some(format!(
                "{name}: rule {group:?} refuses it, and no addition says the contrary of a rule; a profile of your own can \
                 do without the rule (`casemate seccomp check` says what that opens)"
            ))
        }
        Fate::Unknown => {
            let hidden = profile.unknown().iter().find(|one| one.names.contains(name));
            match (hidden, Named::of(name)) {
                (Some(one), _) => Some(format!("{name}: looks unknown on purpose: {}", one.comment)),
                (None, Ok(Named { name: Some(known), .. })) if known == name => None,
                (None, _) => Some(format!("{name}: no rule can name it")),
            }
        }
    }
}

fn rules_for(name: &str, calls: &[&Call]) -> Vec<Value> {
    let rule = |names: Vec<&str>, counts: u64, args: &[Seen]| {
        let comment = format!("Asked for {counts} times in a trace, and looked unknown.");
        let mut rule =
            json!({"group": format!("{name}, as traced"), "action": "allow", "comment": comment, "names": names});
        if !args.is_empty() {
            rule["args"] = args.iter().map(argument).collect();
        }
        rule
    };
    let free: Vec<&&Call> = calls.iter().filter(|call| call.seen.is_empty()).collect();
    let names: BTreeSet<&str> = free.iter().map(|call| call.name.as_str()).collect();
    let count = free.iter().map(|call| call.count).sum();
    let whole = (!free.is_empty()).then(|| rule(names.into_iter().collect(), count, &[]));
    let filtered = calls.iter().filter(|call| !call.seen.is_empty());
    let filtered = filtered.map(|call| rule(vec![call.name.as_str()], call.count, &call.seen));
    whole.into_iter().chain(filtered).collect()
}

fn argument(seen: &Seen) -> Value {
    let Seen { index, mask, value } = seen;
    let mut argument = json!({"index": index});
    if *mask != u64::MAX {
        argument["mask"] = json!(format!("{mask:#x}"));
    }
    argument["equals"] = json!(format!("{value:#x}"));
    argument
}

/// Reads it as a start does.
fn verify(name: &str, file: &Value, profiles: &Profiles) -> Result<(), Vec<ProfileError>> {
    let file: File = super::parse(name, &file.to_string()).map_err(|error| vec![error])?;
    let mistakes: Vec<ProfileError> = file
        .adds
        .iter()
        .filter_map(|(base, rules): (&String, &Vec<Rule>)| {
            let below = profiles.get(base)?;
            Profile::new(name, below.rules(), rules, below.unknown()).err()
        })
        .flatten()
        .collect();
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
}

impl Addition {
    /// For people: what to do with it, and what it does not do. `place` is the directory of the settings, `language` that of
    /// the program.
    #[must_use]
    pub fn text(&self, name: &str, place: &str, language: &str) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        if self.file.is_none() {
            text.push_str("nothing to add: nothing looked unknown that a rule could name\n");
        } else {
            let _ = writeln!(text, "the addition belongs into {place}/seccomp/{name}.json");
        }
        for (base, new) in &self.profiles {
            let _ = writeln!(
                text,
                "a step under {base} has it with profile = {new:?} in {place}/languages/{language}.toml; casemate's own such \
                 file, to begin with, is rootfs-build/languages/{language}.toml"
            );
        }
        for one in &self.stays {
            let _ = writeln!(text, "stays refused: {one}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Calls;
    use crate::seccomp::{Policy, Tally};
    use crate::sys::trace::{End, NATIVE, Seen as Traced64};

    fn calls(profiles: &Profiles, profile: &str, seen: &[(u64, [u64; 6])]) -> Calls {
        let mut tally = Tally::new(Policy::of(profile, profiles.get(profile).unwrap()), true);
        for &(number, args) in seen {
            tally.add(&Traced64 { arch: NATIVE, number, args, end: End::Returned(0) });
        }
        tally.calls()
    }

    /// Of every profile, every call that there is with many arguments: what was unknown and can be added is allowed
    /// afterwards, and nothing else is.
    #[test]
    fn what_was_asked_for_is_allowed_afterwards_and_nothing_else() {
        let profiles = Profiles::load(None).unwrap();
        for base in ["compile", "run", "run+java"] {
            let values = [0, 1, 2, 4, 8, 17, 0x5401, 0x1000_0000, u64::MAX];
            let all: Vec<(u64, [u64; 6])> =
                (0..470).flat_map(|number| values.map(|value| (number, [value, value, 0, value, 0, value]))).collect();
            let seen = calls(&profiles, base, &all);
            assert_eq!(seen.beyond, 0);
            let steps = [Traced { step: "run", profile: base, verdict: "accepted", calls: &seen }];
            let made = addition("mine", &steps, &profiles).unwrap();
            assert!(made.stays.iter().any(|line| line.starts_with("ptrace: rule ")), "{made:?}");
            assert!(made.stays.iter().any(|line| line.starts_with("clone3: looks unknown on purpose")), "{made:?}");
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join("seccomp")).unwrap();
            std::fs::write(dir.path().join("seccomp/mine.json"), made.file.unwrap().to_string()).unwrap();
            let wider = Profiles::load(Some(dir.path())).unwrap();
            let again = format!("{base}+mine");
            let (before, after) =
                (Policy::of(base, profiles.get(base).unwrap()), Policy::of(&again, wider.get(&again).unwrap()));
            for (number, args) in all {
                let name = Named::of(&number.to_string()).unwrap().name;
                let (was, is) = (before.answer(name, args).answer, after.answer(name, args).answer);
                let hidden = name.is_none_or(|name| {
                    profiles.get(base).unwrap().unknown().iter().any(|one| one.names.iter().any(|other| other == name))
                });
                let unknown = was.to_string() == "ENOSYS" && !hidden;
                let wanted = if unknown { "allowed".to_owned() } else { was.to_string() };
                assert_eq!(is.to_string(), wanted, "{base}: {name:?} {args:x?}");
            }
            // What nobody asked for stays as it was.
            let other = [3, 3, 0, 3, 0, 3];
            // Where a profile has no rule at all for a call, what is asked for is the whole of it.
            let filtered = if base == "compile" { "prlimit64" } else { "personality" };
            for name in [filtered, "socket", "clone3", "ptrace"] {
                assert_eq!(before.answer(Some(name), other).answer, after.answer(Some(name), other).answer, "{name}");
            }
        }
    }

    #[test]
    fn where_nothing_can_be_added_there_is_no_file() {
        let profiles = Profiles::load(None).unwrap();
        let seen = calls(&profiles, "run", &[(0, [0; 6]), (101, [0; 6])]);
        let steps = [Traced { step: "run", profile: "run", verdict: "accepted", calls: &seen }];
        let made = addition("mine", &steps, &profiles).unwrap();
        assert!(made.file.is_none() && made.profiles.is_empty() && made.stays.len() == 1, "{made:?}");
        assert!(made.text("mine", "/etc/casemate", "python").starts_with("nothing to add"));
    }
}
