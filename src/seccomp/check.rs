//! What a profile can say in the right form and still be wrong. Everything is looked at; nothing is mended.

use std::collections::{BTreeMap, BTreeSet};

use super::ProfileError;
use super::format::{Action, Arg, Entry, File, Group, Op};

/// Every mistake of `file`.
pub(super) fn check(profile: &str, file: &File) -> Vec<ProfileError> {
    let mut errors = Vec::new();
    let mut empty = |place: &str, text: &str, wanted| {
        if text.trim().is_empty() {
            errors.push(ProfileError::Empty { profile: profile.to_owned(), place: place.to_owned(), wanted });
        }
    };
    empty("about", &file.about, "what the profile is for");
    for (g, group) in file.groups.iter().enumerate() {
        empty(&format!("groups[{g}].group"), &group.group, "what the rules have in common");
        for (r, rule) in group.rules.iter().enumerate() {
            empty(&format!("groups[{g}].rules[{r}].comment"), &rule.comment, "what needs the calls");
            empty(&format!("groups[{g}].rules[{r}].names"), &rule.names.join(""), "which calls");
        }
    }
    let mut groups = BTreeSet::new();
    let mut seen: BTreeMap<&str, Vec<&[Arg]>> = BTreeMap::new();
    for group in &file.groups {
        check_group(profile, file, group, &mut errors);
        if !groups.insert(&group.group) {
            errors.push(ProfileError::GroupTwice { profile: profile.to_owned(), group: group.group.clone() });
        }
        for rule in &group.rules {
            for name in &rule.names {
                seen.entry(name).or_default().push(&rule.args);
            }
            check_args(profile, rule, &mut errors);
        }
    }
    for (name, rules) in seen {
        let all = rules.iter().any(|args| args.is_empty());
        let twice = rules.iter().enumerate().any(|(n, args)| rules[..n].contains(args));
        if rules.len() > 1 && (all || twice) {
            errors.push(ProfileError::Duplicate { profile: profile.to_owned(), name: name.to_owned() });
        }
    }
    errors
}

fn check_group(profile: &str, file: &File, group: &Group, errors: &mut Vec<ProfileError>) {
    let (profile, name) = (profile.to_owned(), group.group.clone());
    let says = group.stops.as_ref().is_some_and(|text| !text.trim().is_empty());
    if says == (group.action == Action::Allow) {
        errors.push(ProfileError::Stops { profile: profile.clone(), group: name.clone() });
    }
    if group.action == Action::Errno(file.default_errno) {
        errors.push(ProfileError::EqualsDefault { profile: profile.clone(), group: name.clone() });
    }
    for call in group.rules.iter().flat_map(|rule| &rule.names) {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if call.is_empty() || !call.bytes().all(plain) {
            errors.push(ProfileError::Name { profile: profile.clone(), group: name.clone(), name: call.clone() });
        }
    }
}

fn check_args(profile: &str, rule: &Entry, errors: &mut Vec<ProfileError>) {
    for (n, arg) in rule.args.iter().enumerate() {
        let reason = if arg.index > 5 {
            "there are only 0 to 5"
        } else if rule.args[..n].iter().any(|other| other.index == arg.index) {
            "compared twice in one rule, which libseccomp refuses; write two rules or one mask"
        } else {
            match (arg.op, arg.mask) {
                (Op::MaskedEq, None) => "`masked_eq` needs a `mask`",
                (Op::MaskedEq, Some(mask)) if arg.value & !mask != 0 => {
                    "can never hold: `value` has bits outside `mask`"
                }
                (Op::MaskedEq, Some(0)) => "always holds: `mask` is zero; leave the filter out",
                (Op::MaskedEq, Some(_)) | (_, None) => continue,
                (_, Some(_)) => "only `masked_eq` has a `mask`",
            }
        };
        let name = rule.names.first().cloned().unwrap_or_default();
        errors.push(ProfileError::Arg { profile: profile.to_owned(), name, index: arg.index, reason });
    }
}
