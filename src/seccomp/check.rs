//! A profile that somebody wrote, looked at more strictly than a start does: names that libseccomp would leave out in
//! silence are mistakes, and what the profile opens is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::calls::Call;
use super::condition::{Condition, covers, disjoint};
use super::format::{Action, File, Rule};
use super::never::{Never, group_of};
use super::policy::Test;
use super::profile::Profile;
use super::reference::conditions;
use super::{ProfileError, Profiles, parse};

/// What was found in a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Mistakes: it is not to be used.
    pub mistakes: Vec<String>,
    /// What it lets through and casemate's own profile of the same kind refuses, with the attack that this opens.
    pub opened: Vec<String>,
    /// The names of the profiles that come of it.
    pub names: Vec<String>,
}

/// Checks the file as one that stands in the settings directory beside those of `overrides`.
#[must_use]
pub fn check(path: &Path, overrides: Option<&Path>) -> Checked {
    let file = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(source) => {
            let error = ProfileError::Read { path: path.to_owned(), source };
            return Checked { mistakes: vec![error.to_string()], ..Checked::default() };
        }
    };
    let content = match parse(&file, &text) {
        Ok(content) => content,
        Err(error) => {
            let foreign = super::foreign::parse(&file, &text).is_ok();
            let hint =
                if foreign { "; this is a filter of OCI or Docker: `casemate seccomp diff` reads it" } else { "" };
            return Checked { mistakes: vec![format!("{error}{hint}")], ..Checked::default() };
        }
    };
    let mut found = Checked { mistakes: names(&file, &content), ..Checked::default() };
    found.mistakes.extend(in_vain(&file, &content));
    match (Profiles::load_with(overrides, Some(path)), Profiles::load(None)) {
        (Ok(all), Ok(ours)) => {
            let own = all.iter().filter(|(_, profile)| profile.about().file == file);
            for (name, profile) in own {
                found.names.push(name.to_owned());
                found.opened.extend(opened(name, profile, &ours));
            }
        }
        (all, ours) => {
            let errors = [all, ours].into_iter().filter_map(Result::err).flatten();
            found.mistakes.extend(errors.map(|error| error.to_string()));
        }
    }
    found
}

/// Every name that is no system call, and every refusal that shows no test is passed over: a stranger has none of ours.
fn names(file: &str, content: &File) -> Vec<String> {
    let rules = content.rules.iter().chain(content.adds.values().flatten());
    let named = rules.map(|rule| (rule.group.as_str(), &rule.names));
    let named = named.chain(content.unknown.iter().map(|one| ("unknown", &one.names)));
    named
        .flat_map(|(group, names)| names.iter().map(move |name| (group, name)))
        .filter_map(|(group, name)| {
            // A number is no name: libseccomp would not know it.
            let error = match Call::of(name) {
                Ok(Call { name: Some(known), .. }) if known == name => return None,
                Ok(_) => format!("{name:?} is no name"),
                Err(error) => error.to_string(),
            };
            Some(format!("{file}: rule {group:?}: {error}"))
        })
        .collect()
}

/// What a profile cannot allow, for the service itself is refused it.
fn in_vain(file: &str, content: &File) -> Vec<String> {
    let rules = content.rules.iter().chain(content.adds.values().flatten());
    let allowed = rules.filter(|rule| rule.action == Action::Allow);
    let named = allowed.flat_map(|rule| rule.names.iter().map(move |name| (&rule.group, name)));
    named
        .filter_map(|(rule, name)| {
            let Never { group, why, .. } = group_of(name)?;
            Some(format!(
                "{file}: rule {rule:?}: {name} cannot be allowed: the service and all that it starts are refused it \
                 ({group}: {why})"
            ))
        })
        .collect()
}

/// What `profile` allows of what `run`, the widest of ours, does not, by its arguments too.
fn opened(name: &str, profile: &Profile, ours: &Profiles) -> Vec<String> {
    let Some(run) = ours.get("run") else { return Vec::new() };
    let mut found: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for rule in profile.rules().iter().filter(|rule| rule.action == Action::Allow) {
        for call in &rule.names {
            let known: Vec<&Rule> = run.rules().iter().filter(|rule| rule.names.contains(call)).collect();
            for set in rule.each() {
                let mut sets =
                    known.iter().filter(|rule| rule.action == Action::Allow).flat_map(|rule| rule.alternatives());
                if !sets.any(|there| covers(&there, &set)) {
                    found.entry((call, reason(run, &known, call, &set))).or_default().push(shown(&set));
                }
            }
        }
    }
    let line = |((call, why), with): ((&str, String), Vec<String>)| {
        let with =
            if with.iter().any(String::is_empty) { String::new() } else { format!(" with {}", with.join(", or ")) };
        format!("{name} allows {call}{with}, {why}")
    };
    found.into_iter().map(line).collect()
}

/// Why `run` does not allow the call with these arguments; `known` are its rules that name it.
fn reason(run: &Profile, known: &[&Rule], call: &str, set: &[Condition]) -> String {
    let meets = |rule: &&&Rule| rule.alternatives().iter().any(|there| !disjoint(there, set));
    let refused = known.iter().filter(|rule| rule.action == Action::Refuse).find(meets);
    let hidden = run.unknown().iter().find(|one| one.names.iter().any(|name| name == call));
    match (refused, hidden, known.first()) {
        (Some(rule), ..) if rule.args.is_empty() => format!("which `run` refuses: {}", rule.comment),
        (Some(rule), ..) => format!("of which `run` refuses {}: {}", conditions(rule), rule.comment),
        (None, Some(one), _) => format!("which looks unknown under `run` on purpose: {}", one.comment),
        (None, None, Some(rule)) => format!("which `run` allows with other arguments alone: {}", rule.comment),
        (None, None, None) => "which no rule of `run` names".to_owned(),
    }
}

fn shown(set: &[Condition]) -> String {
    set.iter().map(|&one| Test::from(one).to_string()).collect::<Vec<_>>().join(" and ")
}

impl Checked {
    /// For people.
    #[must_use]
    pub fn text(&self, file: &Path) -> String {
        let mut text = String::new();
        for mistake in &self.mistakes {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "mistake: {mistake}");
        }
        for opened in &self.opened {
            let _ = writeln!(text, "opens:   {opened}");
        }
        if self.mistakes.is_empty() {
            let _ = writeln!(text, "{}: right; it makes {}", file.display(), self.names.join(", "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Checked {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.json");
        std::fs::write(&path, text).unwrap();
        check(&path, None)
    }

    fn rules(rules: &str) -> Checked {
        checked(&format!(r#"{{"comment": "mine", "extends": "compile", "rules": [{rules}]}}"#))
    }

    #[test]
    fn what_is_wrong_is_a_mistake_and_what_is_wide_is_told() {
        let right = rules(r#"{"group":"g","action":"allow","comment":"a test needs it","names":["mincore"]}"#);
        assert_eq!((right.mistakes.len(), &right.names[..]), (0, &["mine".to_owned()][..]), "{right:?}");
        assert!(right.opened.len() == 1 && right.opened[0].contains("mincore"), "{right:?}");

        let wrong = rules(r#"{"group":"g","action":"allow","comment":"a test needs it","names":["mincor","101"]}"#);
        assert!(wrong.mistakes[0].contains("did you mean mincore?"), "{wrong:?}");
        assert!(wrong.mistakes[1].contains("\"101\" is no name"), "{wrong:?}");
        let contrary = rules(r#"{"group":"g","action":"allow","comment":"c","names":["ptrace"]}"#);
        assert!(contrary.mistakes[0].contains("says the contrary"), "{contrary:?}");

        let vain = rules(r#"{"group":"g","action":"allow","comment":"c","names":["mincore","io_uring_setup"]}"#);
        assert!(vain.mistakes[0].contains("io_uring_setup cannot be allowed"), "{vain:?}");

        let alone = checked(
            r#"{"comment":"m","rules":[{"group":"g","action":"allow","comment":"c","names":["ptrace","clone3"]}]}"#,
        );
        assert!(alone.opened[1].contains("refuses") && alone.opened[0].contains("on purpose"), "{alone:?}");
    }

    #[test]
    fn what_run_filters_by_its_arguments_is_told_where_it_is_open() {
        let names = ["clone", "ioctl", "personality", "prctl", "socket"];
        let list = names.map(|name| format!("{name:?}")).join(",");
        let rule = |more: &str| {
            let rule = format!(r#"{{"group":"g","action":"allow","comment":"c","names":[{list}]{more}}}"#);
            checked(&format!(r#"{{"comment":"m","rules":[{rule}]}}"#))
        };
        let open = rule("");
        for name in names {
            let told = open.opened.iter().any(|line| line.starts_with(&format!("mine allows {name}, ")));
            assert!(told, "{name}: {open:?}");
        }
        assert!(open.opened.iter().any(|line| line.contains("socket, of which `run` refuses")), "{open:?}");
        let one = |call: &str, argument: &str| {
            let args = format!(r#""args":[{{{argument}}}]"#);
            let rule = format!(r#"{{"group":"g","action":"allow","comment":"c","names":["{call}"],{args}}}"#);
            checked(&format!(r#"{{"comment":"m","rules":[{rule}]}}"#))
        };
        let raw = one("socket", r#""index":0,"equals":16"#);
        assert!(raw.opened.len() == 1 && raw.opened[0].contains("argument 0 = 0x10"), "{raw:?}");
        // No more than `run` allows, in other words.
        let local = one("socket", r#""index":0,"equals":1"#);
        assert!(local.mistakes.is_empty() && local.opened.is_empty(), "{local:?}");
    }

    #[test]
    fn another_form_is_named() {
        let said = checked(r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[]}"#);
        assert!(said.mistakes[0].contains("`casemate seccomp diff` reads it"), "{said:?}");
        assert!(check(Path::new("/nowhere/x.json"), None).mistakes[0].contains("/nowhere/x.json cannot be read"));
    }

    #[test]
    fn our_own_files_are_right() {
        for name in ["compile", "java", "run"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("seccomp/{name}.json"));
            let found = check(&path, None);
            assert!(found.mistakes.is_empty() && !found.names.is_empty(), "{found:?}");
        }
    }
}
