//! Profiles in words, for whoever audits them without reading JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Profiles;
use super::calls::Call;
use super::docker::docker_default;
use super::foreign::ForeignError;
use super::format::{Action, Rule};
use super::policy::{Answer, Policy, When};
use super::profile::Profile;
use super::reference::conditions;

/// As long as a line gets that can be broken.
const WIDTH: usize = 100;

/// Every profile: what it is for, what it builds upon, how much it lets through, and who uses it; `users` are pairs of a
/// profile's name and a user's.
#[must_use]
pub fn list(profiles: &Profiles, users: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, profile) in profiles.iter() {
        let about = profile.about();
        let base = about.base.as_ref().map(|base| format!(", beyond {base}")).unwrap_or_default();
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{name}{base} ({})", about.file);
        paragraph(&mut text, "  ", &about.comment);
        paragraph(&mut text, "  ", &counts(profile));
        let users: Vec<&str> = users.iter().filter(|(used, _)| used == name).map(|(_, user)| user.as_str()).collect();
        let _ = writeln!(text, "  used by: {}", if users.is_empty() { "nobody".to_owned() } else { users.join(", ") });
    }
    text
}

fn counts(profile: &Profile) -> String {
    let policy = Policy::of("", profile);
    let (mut allowed, mut under, mut refused) = (0, 0, 0);
    for name in super::calls::here() {
        match policy.when(name) {
            When::Always => allowed += 1,
            When::Where(_) | When::Except(_) | When::Undecided => under += 1,
            When::Never if policy.cases(name).is_empty() => {}
            When::Never => refused += 1,
        }
    }
    format!(
        "{allowed} system calls allowed, {under} more with some arguments, {refused} refused; all others look unknown"
    )
}

/// One profile, by group, each with its reason.
#[must_use]
pub fn show(name: &str, profile: &Profile) -> String {
    let about = profile.about();
    let mut text = format!("{name} ({})\n", about.file);
    paragraph(&mut text, "  ", &about.comment);
    paragraph(&mut text, "  ", &counts(profile));
    for (action, title) in [(Action::Allow, "Allowed"), (Action::Refuse, "Refused, with EPERM")] {
        let _ = writeln!(text, "\n{title}");
        for (group, rules) in groups(profile.rules(), action) {
            let _ = writeln!(text, "  {group}");
            for rule in rules {
                paragraph(&mut text, "    ", &rule.comment);
                wrapped(&mut text, "      ", &rule.names.iter().map(String::as_str).collect::<Vec<_>>());
                let with = conditions(rule);
                if !with.is_empty() {
                    paragraph(&mut text, "        ", &format!("with {with}"));
                }
                for test in &rule.shown_by {
                    let _ = writeln!(text, "        seen in {test}");
                }
            }
        }
    }
    let _ = writeln!(text, "\nUnknown on purpose, with ENOSYS as everything that is not named");
    for one in profile.unknown() {
        paragraph(&mut text, "    ", &one.comment);
        wrapped(&mut text, "      ", &one.names.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

/// Rules of one action by group, in the order of the first of each.
fn groups(rules: &[Rule], action: Action) -> Vec<(&str, Vec<&Rule>)> {
    let mut found: Vec<(&str, Vec<&Rule>)> = Vec::new();
    for rule in rules.iter().filter(|rule| rule.action == action) {
        match found.iter_mut().find(|(group, _)| *group == rule.group) {
            Some((_, rules)) => rules.push(rule),
            None => found.push((&rule.group, vec![rule])),
        }
    }
    found
}

/// What every profile, and Docker's default, says of one system call.
///
/// # Errors
/// When the facts about Docker cannot be read, which the unit tests exclude.
pub fn explain(profiles: &Profiles, call: &Call) -> Result<String, ForeignError> {
    let mut text = format!("{}\n", call.shown());
    let name = call.name.unwrap_or_default();
    // Profiles that say the same are told together.
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for (profile, rules) in profiles.iter() {
        let what = about(&Policy::of(profile, rules), name);
        match said.iter_mut().find(|(same, _)| *same == what) {
            Some((_, names)) => names.push(profile),
            None => said.push((what, vec![profile])),
        }
    }
    for (what, names) in said {
        let _ = writeln!(text, "{}:\n{what}", names.join(", "));
    }
    let docker = docker_default()?;
    let _ = write!(text, "{}:\n{}", docker.name(), about(&docker, name));
    Ok(text)
}

fn about(policy: &Policy, name: &str) -> String {
    let mut text = String::new();
    let mut told: BTreeMap<String, ()> = BTreeMap::new();
    for case in policy.cases(name) {
        let with = match &case.why {
            Some(why) => why.shown.clone(),
            None => case.tests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "),
        };
        let answer =
            if case.answer == Answer::Allow { "allowed".to_owned() } else { format!("refused, {}", case.answer) };
        let with = if with.is_empty() { String::new() } else { format!(" with {with}") };
        let why = case.why.as_ref().map(|why| format!("\n    {}: {}", why.group, why.comment)).unwrap_or_default();
        let shown_by: String =
            case.why.iter().flat_map(|why| &why.shown_by).map(|test| format!("\n    seen in {test}")).collect();
        let line = format!("  {answer}{with}{why}{shown_by}\n");
        if told.insert(line.clone(), ()).is_none() {
            text.push_str(&line);
        }
    }
    let always = policy.cases(name).iter().any(|case| case.tests.is_empty());
    if !always {
        let why = policy.unknown.get(name).map(|comment| format!(": {comment}")).unwrap_or_default();
        let otherwise = if text.is_empty() { "" } else { "otherwise " };
        let _ = writeln!(text, "  {otherwise}{}{why}", policy.default);
    }
    text
}

/// Words, as many as fit on a line.
pub(super) fn wrapped(text: &mut String, indent: &str, words: &[&str]) {
    let mut line = String::new();
    for word in words {
        if !line.is_empty() && indent.len() + line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{indent}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(text, "{indent}{line}");
    }
}

fn paragraph(text: &mut String, indent: &str, sentence: &str) {
    wrapped(text, indent, &sentence.split(' ').collect::<Vec<_>>());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_a_profile_is_shown_with_its_reason() {
        let profiles = Profiles::load(None).unwrap();
        for (name, profile) in profiles.iter() {
            let shown = show(name, profile);
            let squeezed = shown.split_whitespace().collect::<Vec<_>>().join(" ");
            for rule in profile.rules() {
                for part in rule.names.iter().chain([&rule.group, &rule.comment]).chain(&rule.shown_by) {
                    assert!(squeezed.contains(part.as_str()), "{name}: {part:?} is not shown");
                }
            }
            assert!(shown.lines().all(|line| line.chars().count() <= WIDTH + 40), "{name}");
        }
    }

    #[test]
    fn one_call_is_explained_under_every_profile() {
        let profiles = Profiles::load(None).unwrap();
        let said = |name: &str| explain(&profiles, &Call::of(name).unwrap()).unwrap();
        let ptrace = said("ptrace");
        assert!(ptrace.contains("compile, compile+java, run, run+java:\n  refused, EPERM\n"), "{ptrace}");
        assert!(ptrace.contains("docker-default:\n  allowed\n") && ptrace.contains("seen in tests/"), "{ptrace}");
        let socket = said("socket");
        assert!(socket.contains("AF_UNIX") && socket.contains("argument 0 < 38"), "{socket}");
        let clone3 = said("clone3");
        assert!(clone3.contains("ENOSYS: Its flags are in memory"), "{clone3}");
        assert!(said("499").contains("ENOSYS"));
    }

    #[test]
    fn the_list_says_who_uses_which() {
        let text = list(&Profiles::load(None).unwrap(), &[("run".to_owned(), "python run".to_owned())]);
        assert!(text.contains("run, beyond compile (seccomp/run.json)\n"), "{text}");
        assert!(text.contains("used by: python run\n") && text.contains("used by: nobody\n"), "{text}");
    }
}
