//! One profile: read strictly, checked as a whole, written as OCI.

use std::collections::BTreeMap;

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArgBuilder, LinuxSeccompBuilder, LinuxSeccompOperator,
    LinuxSyscall, LinuxSyscallBuilder,
};
use serde::Deserialize;

use super::ProfileError;

/// errno(3), x86 and ARM alike.
const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// A complete profile.
#[derive(Clone, Debug)]
pub struct Profile {
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What the profile is for.
    #[serde(rename = "comment")]
    _comment: String,
    extends: Option<String>,
    rules: Vec<Rule>,
}

/// Some system calls and what becomes of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// A word for them all.
    group: String,
    action: Action,
    /// What needs them; for a refusal, the attack that it stops.
    comment: String,
    names: Vec<String>,
    /// All of these have to hold for the rule to count.
    #[serde(default)]
    args: Vec<Argument>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// It works.
    Allow,
    /// EPERM: it exists and is not for you.
    Refuse,
}

/// A condition on one argument, of which the bits of `mask` are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Argument {
    index: usize,
    #[serde(default = "all_bits")]
    mask: u64,
    equals: u64,
}

const fn all_bits() -> u64 {
    u64::MAX
}

impl Profile {
    /// Reads the text of `file`; `base` gives the text of the profile that it extends.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse<'a>(
        file: &str,
        text: &str,
        base: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, Vec<ProfileError>> {
        let own = read(file, text)?;
        let mut rules = Vec::new();
        if let Some(name) = own.extends {
            let wrong = || vec![ProfileError::Base { file: file.to_owned(), base: name.clone() }];
            let below = read(&name, base(&name).ok_or_else(wrong)?)?;
            if below.extends.is_some() {
                return Err(wrong());
            }
            rules.extend(below.rules);
        }
        rules.extend(own.rules);
        let errors = mistakes(file, &rules);
        if errors.is_empty() { Ok(Self { rules }) } else { Err(errors) }
    }

    /// As an OCI runtime reads it: an allow-list for the native ABI alone. The 32-bit and x32 ABIs are not listed, so
    /// that libseccomp ends whoever calls through them.
    ///
    /// # Errors
    /// When `oci-spec` misses a value, which is a mistake in this file.
    pub fn to_oci(&self) -> Result<LinuxSeccomp, OciSpecError> {
        let arch = if cfg!(target_arch = "aarch64") { Arch::ScmpArchAarch64 } else { Arch::ScmpArchX86_64 };
        LinuxSeccompBuilder::default()
            .default_action(LinuxSeccompAction::ScmpActErrno)
            .default_errno_ret(ENOSYS)
            .architectures(vec![arch])
            .syscalls(self.rules.iter().map(Rule::to_oci).collect::<Result<Vec<_>, _>>()?)
            .build()
    }

    /// The names of the system calls that any rule speaks of.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|rule| rule.names.iter().map(String::as_str))
    }
}

impl Rule {
    fn to_oci(&self) -> Result<LinuxSyscall, OciSpecError> {
        let args = self.args.iter().map(|arg| {
            // SCMP_CMP_MASKED_EQ: `value` is the mask, `value_two` what has to be left (seccomp_rule_add(3)).
            let built = LinuxSeccompArgBuilder::default().index(arg.index);
            if arg.mask == u64::MAX {
                built.value(arg.equals).op(LinuxSeccompOperator::ScmpCmpEq).build()
            } else {
                built.value(arg.mask).value_two(arg.equals).op(LinuxSeccompOperator::ScmpCmpMaskedEq).build()
            }
        });
        let args = args.collect::<Result<Vec<_>, _>>()?;
        let builder = LinuxSyscallBuilder::default().names(self.names.clone());
        let builder = match self.action {
            Action::Allow => builder.action(LinuxSeccompAction::ScmpActAllow),
            Action::Refuse => builder.action(LinuxSeccompAction::ScmpActErrno).errno_ret(EPERM),
        };
        if args.is_empty() { builder.build() } else { builder.args(args).build() }
    }
}

fn read(file: &str, text: &str) -> Result<File, Vec<ProfileError>> {
    serde_json::from_str(text)
        .map_err(|error| vec![ProfileError::Format { file: file.to_owned(), message: error.to_string() }])
}

fn mistakes(file: &str, rules: &[Rule]) -> Vec<ProfileError> {
    let mut errors = Vec::new();
    let mut seen: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
    for rule in rules {
        let mut wrong = |message: String| {
            errors.push(ProfileError::Rule { file: file.to_owned(), rule: rule.group.clone(), message });
        };
        if rule.comment.trim().is_empty() || rule.group.trim().is_empty() {
            wrong("say in `group` and `comment` what it is for".to_owned());
        }
        if rule.names.is_empty() {
            wrong("name at least one system call".to_owned());
        }
        if let Some(arg) = rule.args.iter().find(|arg| arg.index > 5) {
            wrong(format!("argument {} does not exist: a system call has 0 to 5", arg.index));
        }
        if let Some(arg) = rule.args.iter().find(|arg| arg.equals & !arg.mask != 0) {
            wrong(format!(
                "`equals` {:#x} has bits that `mask` {:#x} hides: it could never hold",
                arg.equals, arg.mask
            ));
        }
        for name in &rule.names {
            for other in seen.get(name.as_str()).into_iter().flatten() {
                if other.args.is_empty() || rule.args.is_empty() || other.args == rule.args {
                    wrong(format!(
                        "{name} is in rule {:?} already; only rules on different arguments add up",
                        other.group
                    ));
                }
            }
            seen.entry(name).or_default().push(rule);
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::super::Profiles;
    use super::*;

    fn parse(rules: &str) -> Result<Profile, String> {
        let text = format!(r#"{{"comment": "test", "rules": [{rules}]}}"#);
        Profile::parse("t.json", &text, |_| None)
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn every_mistake_is_told() {
        let rows = [
            (r#"{"group":"g","action":"allow","comment":"c","names":["read"],"nmaes":[]}"#, "nmaes"),
            (r#"{"group":"g","action":"allow","comment":"","names":["read"]}"#, "what it is for"),
            (r#"{"group":"g","action":"allow","comment":"c","names":[]}"#, "at least one"),
            (r#"{"group":"g","action":"log","comment":"c","names":["read"]}"#, "log"),
            (
                r#"{"group":"g","action":"allow","comment":"c","names":["read"],"args":[{"index":6,"equals":0}]}"#,
                "does not exist",
            ),
            (
                r#"{"group":"g","action":"allow","comment":"c","names":["read"],"args":[{"index":0,"mask":1,"equals":2}]}"#,
                "never hold",
            ),
            (r#"{"group":"g","action":"allow","comment":"c","names":["read","read"]}"#, "already"),
        ];
        for (rule, expected) in rows {
            let said = parse(rule).unwrap_err();
            assert!(said.contains(expected), "{rule}: {said}");
        }
        assert!(parse(r#"{"group":"g","action":"allow","comment":"c","names":["read"]}"#).is_ok());
    }

    #[test]
    fn what_is_not_named_looks_unknown_and_other_abis_are_closed() {
        let profiles = Profiles::load(None).unwrap();
        for name in ["run", "compile"] {
            let oci = profiles.get(name).unwrap().to_oci().unwrap();
            assert_eq!(oci.default_action(), LinuxSeccompAction::ScmpActErrno);
            assert_eq!(oci.default_errno_ret(), Some(ENOSYS));
            assert_eq!(oci.architectures().as_ref().map(Vec::len), Some(1));
            let named = |call: &str| profiles.get(name).unwrap().names().any(|n| n == call);
            assert!(!named("clone3"), "clone3 has to look unknown, so that libc falls back to clone");
            assert!(named("execve") && named("bpf"));
        }
    }
}
