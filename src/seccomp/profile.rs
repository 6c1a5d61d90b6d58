//! One profile: rules gathered from its files, checked as a whole, written as OCI.

use std::collections::{BTreeMap, BTreeSet};

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompBuilder, LinuxSyscall, LinuxSyscallBuilder,
};

use super::ProfileError;
use super::condition::{Condition, covers, disjoint};
use super::format::{Action, Argument, Rule, Unknown};

/// errno(3), x86 and ARM alike.
pub(super) const EPERM: u32 = 1;
pub(super) const ENOSYS: u32 = 38;

/// A complete profile.
#[derive(Clone, Debug)]
pub struct Profile {
    rules: Vec<Rule>,
    unknown: Vec<Unknown>,
    about: About,
}

/// What a profile is called and for, for people.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    /// The file that has it, or the addition.
    pub(super) file: String,
    /// What the file says of itself.
    pub(super) comment: String,
    /// The profile that its rules join.
    pub(super) base: Option<String>,
}

impl Profile {
    /// Of these rules of `file` and those below them, which are known to be right; no rule may name what is `unknown`.
    ///
    /// # Errors
    /// Every mistake in the rules of `file`.
    pub(super) fn new(
        file: &str,
        below: &[Rule],
        own: &[Rule],
        unknown: &[Unknown],
    ) -> Result<Self, Vec<ProfileError>> {
        let mut found: Vec<(String, String)> =
            own.iter().flat_map(|rule| form(rule).into_iter().map(|message| (rule.group.clone(), message))).collect();
        let hidden: BTreeSet<&str> = unknown.iter().flat_map(|one| one.names.iter().map(String::as_str)).collect();
        for rule in own {
            for name in rule.names.iter().filter(|name| hidden.contains(name.as_str())) {
                found.push((rule.group.clone(), format!("{name} has to look unknown, see `unknown`")));
            }
        }
        found.extend(quarrels(below, own));
        if found.is_empty() {
            return Ok(Self { rules: [below, own].concat(), unknown: unknown.to_vec(), about: About::default() });
        }
        let error = |(rule, message)| ProfileError::Rule { file: file.to_owned(), rule, message };
        Err(found.into_iter().map(error).collect())
    }

    pub(super) fn described(self, about: About) -> Self {
        Self { about, ..self }
    }

    pub(super) const fn about(&self) -> &About {
        &self.about
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What looks unknown on purpose.
    pub(super) fn unknown(&self) -> &[Unknown] {
        &self.unknown
    }

    /// As an OCI runtime reads it: an allow-list for the native ABI alone. The 32-bit and x32 ABIs are not listed, so
    /// that libseccomp ends whoever calls through them.
    ///
    /// # Errors
    /// When `oci-spec` misses a value, which is a mistake in this file.
    pub fn to_oci(&self) -> Result<LinuxSeccomp, OciSpecError> {
        let mut syscalls = Vec::new();
        for rule in &self.rules {
            for conditions in rule.alternatives() {
                syscalls.push(to_oci(rule, &conditions)?);
            }
        }
        let mut all = Self::without_rules()?;
        all.set_syscalls(Some(syscalls));
        Ok(all)
    }

    /// What stands beside any of these filters where the runtime is handed it compiled: nothing is allowed, should it not
    /// take that.
    ///
    /// # Errors
    /// As [`Profile::to_oci`].
    pub fn without_rules() -> Result<LinuxSeccomp, OciSpecError> {
        let arch = if cfg!(target_arch = "aarch64") { Arch::ScmpArchAarch64 } else { Arch::ScmpArchX86_64 };
        LinuxSeccompBuilder::default()
            .default_action(LinuxSeccompAction::ScmpActErrno)
            .default_errno_ret(ENOSYS)
            .architectures(vec![arch])
            .build()
    }

    /// The names of the system calls that any rule speaks of.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|rule| rule.names.iter().map(String::as_str))
    }
}

fn to_oci(rule: &Rule, conditions: &[Condition]) -> Result<LinuxSyscall, OciSpecError> {
    let builder = LinuxSyscallBuilder::default().names(rule.names.clone());
    let builder = match rule.action {
        Action::Allow => builder.action(LinuxSeccompAction::ScmpActAllow),
        Action::Refuse => builder.action(LinuxSeccompAction::ScmpActErrno).errno_ret(EPERM),
    };
    let args = conditions.iter().map(|condition| condition.to_oci()).collect::<Result<Vec<_>, _>>()?;
    if args.is_empty() { builder.build() } else { builder.args(args).build() }
}

/// What is wrong with a rule by itself.
fn form(rule: &Rule) -> Vec<String> {
    let mut wrong = Vec::new();
    if rule.comment.trim().is_empty() || rule.group.trim().is_empty() {
        wrong.push("say in `group` and `comment` what it is for".to_owned());
    }
    if rule.names.is_empty() {
        wrong.push("name at least one system call".to_owned());
    }
    if rule.action == Action::Allow && !rule.shown_by.is_empty() {
        wrong.push("`shown_by` belongs to a refusal".to_owned());
    }
    let mut seen = BTreeSet::new();
    for argument in &rule.args {
        let index = argument.index;
        if index > 5 {
            wrong.push(format!("argument {index} does not exist: a system call has 0 to 5"));
        }
        if !seen.insert(index) {
            wrong.push(format!("argument {index} stands twice, of which runtimes make two rules"));
        }
        wrong.extend(values(argument));
    }
    wrong
}

fn values(argument: &Argument) -> Vec<String> {
    let alternatives = argument.alternatives();
    if alternatives.is_empty() {
        return vec![format!("argument {} has no value at all", argument.index)];
    }
    let never = alternatives.iter().filter(|condition| condition.never_holds());
    never.map(|condition| format!("{condition:?} has bits that the mask hides: it could never hold")).collect()
}

/// Of each two rules on one system call: whether they contradict each other, or one says what the other says already.
/// So the order of rules means nothing.
fn quarrels(below: &[Rule], own: &[Rule]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut seen: BTreeMap<&str, Vec<(&Rule, Vec<Condition>)>> = BTreeMap::new();
    for (at, rule) in below.iter().chain(own).enumerate() {
        for name in &rule.names {
            for set in rule.alternatives() {
                let before = seen.entry(name).or_default();
                for (other, there) in before.iter().filter(|_| at >= below.len()) {
                    if rule.action != other.action && !disjoint(&set, there) {
                        found.push((rule.group.clone(), format!("{name}: rule {:?} says the contrary", other.group)));
                    }
                    if rule.action == other.action && (covers(&set, there) || covers(there, &set)) {
                        found.push((rule.group.clone(), format!("{name} is in rule {:?} already", other.group)));
                    }
                }
                before.push((rule, set));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Profiles;
    use super::*;

    /// What is said of a profile with these rules.
    fn said(rules: &str) -> String {
        let text = format!(
            r#"{{"comment": "test", "rules": [{rules}], "unknown": [{{"names": ["clone3"], "comment": "c"}}]}}"#
        );
        match Profiles::of([("t", &text)]) {
            Ok(_) => "right".to_owned(),
            Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        }
    }

    fn allow(names: &str, more: &str) -> String {
        format!(r#"{{"group":"g","action":"allow","comment":"c","names":[{names}]{more}}}"#)
    }

    #[test]
    fn every_mistake_is_told() {
        let args = |args: &str| allow(r#""read""#, &format!(r#","args":[{args}]"#));
        let refuse = |args: &str| args_of_refusal(args);
        let one = |value: &str| format!(r#"{{"value":{value},"name":"N"}}"#);
        let rows = [
            (allow(r#""read""#, r#","nmaes":[]"#), "nmaes"),
            (allow(r#""read""#, "").replace(r#""comment":"c""#, r#""comment":"""#), "what it is for"),
            (allow("", ""), "at least one"),
            (allow(r#""read""#, "").replace("allow", "log"), "log"),
            (allow(r#""read""#, r#","shown_by":["t::t"]"#), "belongs to a refusal"),
            (allow(r#""clone3""#, ""), "look unknown"),
            (args(r#"{"index":6,"equals":0}"#), "does not exist"),
            (args(r#"{"index":0,"mask":1,"equals":2}"#), "never hold"),
            (args(r#"{"index":0,"mask":"0xf","one_of":[{"value":"0x10","name":"N"}]}"#), "never hold"),
            (args(r#"{"index":0,"equals":1},{"index":0,"equals":2}"#), "stands twice"),
            (args(r#"{"index":0,"equals":"1"}"#), "no number"),
            (args(r#"{"index":0,"equals":1,"not":2}"#), "one of `equals`"),
            (args(r#"{"index":0}"#), "one of `equals`"),
            (args(r#"{"index":0,"mask":1,"not":0}"#), "leave out `mask`"),
            (args(&format!(r#"{{"index":0,"mask":1,"any_bit_of":[{}]}}"#, one("1"))), "leave out `mask`"),
            (args(r#"{"index":0,"one_of":[]}"#), "no value"),
            (args(r#"{"index":0,"one_of":[{"value":1}]}"#), "name"),
            (args(r#"{"index":0,"equlas":1}"#), "equlas"),
            (args(&format!(r#"{{"index":0,"one_of":[{0},{0}]}}"#, one("1"))), "already"),
            (allow(r#""read","read""#, ""), "already"),
            (format!("{},{}", allow(r#""read""#, ""), args(r#"{"index":0,"equals":1}"#)), "already"),
            (
                format!("{},{}", args(r#"{"index":0,"equals":1}"#), refuse(r#"{"index":0,"mask":1,"equals":1}"#)),
                "contrary",
            ),
            (format!("{},{}", args(r#"{"index":0,"equals":1}"#), refuse(r#"{"index":1,"equals":1}"#)), "contrary"),
        ];
        for (rules, expected) in rows {
            let said = said(&rules);
            assert!(said.contains(expected), "{rules}: {said}");
        }
    }

    fn args_of_refusal(args: &str) -> String {
        format!(r#"{{"group":"h","action":"refuse","comment":"c","names":["read"],"args":[{args}]}}"#)
    }

    #[test]
    fn what_is_right_is_accepted() {
        let family = allow(r#""socket""#, r#","args":[{"index":0,"equals":1}]"#);
        let others = args_of_refusal(r#"{"index":0,"not":"0x1"}"#).replace("read", "socket");
        let flags = r#"{"index":0,"any_bit_of":[{"value":"0x2","name":"A"},{"value":"0x4","name":"B"}]}"#;
        let none = allow(r#""read""#, r#","args":[{"index":0,"mask":"0x6","equals":0}]"#);
        assert_eq!(said(&[family, others, args_of_refusal(flags), none].join(",")), "right");
    }

    #[test]
    fn what_is_not_named_looks_unknown_and_other_abis_are_closed() {
        let profiles = Profiles::load(None).unwrap();
        assert_eq!(profiles.names().collect::<Vec<_>>(), ["compile", "compile+java", "run", "run+java"]);
        for name in profiles.names() {
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
