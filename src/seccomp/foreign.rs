//! Filters in the form that OCI runtimes and Docker read: alone, or inside a `config.json`. Read to be compared and asked;
//! no job ever runs under one.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use super::calls::Call;
use super::kernel::Kernel;
use super::policy::{Answer, Case, Op, Policy, Test};
use super::profile::EPERM;

/// Why a file is no filter.
#[derive(Debug, Error)]
pub enum ForeignError {
    /// It cannot be read.
    #[error("{file} cannot be read: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It has another form.
    #[error("{file}: {message}")]
    Format {
        /// The file.
        file: String,
        /// What the parser says.
        message: String,
    },
}

/// The common part of OCI's `linux.seccomp` and Docker's profiles.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    default_action: String,
    default_errno_ret: Option<u32>,
    #[serde(default)]
    syscalls: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    names: Vec<String>,
    action: String,
    errno_ret: Option<u32>,
    args: Option<Vec<Arg>>,
    #[serde(default)]
    includes: Only,
    #[serde(default)]
    excludes: Only,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arg {
    index: usize,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

/// Where a rule of Docker's counts, or does not.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Only {
    #[serde(default)]
    arches: Vec<String>,
    #[serde(default)]
    caps: Vec<String>,
    min_kernel: Option<String>,
}

impl Only {
    /// Whether `kernel` is as new as is asked for, where that is asked.
    fn kernel(&self, kernel: Kernel) -> Result<Option<bool>, String> {
        self.min_kernel.as_ref().map(|least| least.parse().map(|least: Kernel| kernel >= least)).transpose()
    }
}

/// As Docker calls this machine.
const ARCH: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// The filter of `file`: OCI's `linux.seccomp`, Docker's form, or a whole `config.json`. Where rules depend on capabilities,
/// those that a container without any gets; where they depend on the kernel, those of the one that runs here.
///
/// # Errors
/// When there is none in it.
pub fn read_foreign(path: &Path) -> Result<Policy, ForeignError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ForeignError::Read { file: file.clone(), source })?;
    parse(&file, &text)
}

pub(super) fn parse(file: &str, text: &str) -> Result<Policy, ForeignError> {
    parse_on(Kernel::running(), file, text)
}

fn parse_on(kernel: Kernel, file: &str, text: &str) -> Result<Policy, ForeignError> {
    let wrong = |message: String| ForeignError::Format { file: file.to_owned(), message };
    let value: Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let config = value.get("ociVersion").is_some() || value.get("process").is_some();
    let filter = if config { value.pointer("/linux/seccomp").cloned() } else { Some(value) };
    let Some(filter) = filter.filter(|filter| !filter.is_null()) else {
        // A configuration without a filter lets everything through.
        return Ok(empty(file, Answer::Allow));
    };
    let filter: Filter = serde_json::from_value(filter).map_err(|error| {
        wrong(format!("neither a profile of casemate's (it has no `rules`) nor a filter of OCI or Docker: {error}"))
    })?;
    let default = answer(&filter.default_action, filter.default_errno_ret);
    let mut policy = empty(file, default);
    for rule in &filter.syscalls {
        let arch = rule.includes.arches.is_empty() || rule.includes.arches.iter().any(|arch| arch == ARCH);
        let old = rule.includes.kernel(kernel).map_err(wrong)? == Some(false);
        let new = rule.excludes.kernel(kernel).map_err(wrong)? == Some(true);
        if old || new || !arch || rule.excludes.arches.iter().any(|arch| arch == ARCH) || !rule.includes.caps.is_empty()
        {
            continue;
        }
        let answer = answer(&rule.action, rule.errno_ret);
        let tests = rule.args.iter().flatten().map(test).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        // Runtimes leave out a rule that does what happens anyway; libseccomp would not take it (seccomp_rule_add(3)).
        if filter.does_by_default(rule) {
            continue;
        }
        for name in &rule.names {
            if let Err(unknown) = Call::of(name) {
                return Err(wrong(unknown.to_string()));
            }
            let cases = policy.calls.entry(name.clone()).or_default();
            for tests in rules_of(&tests) {
                cases.push(Case { answer: answer.clone(), tests, why: None });
            }
        }
    }
    Ok(policy)
}

impl Filter {
    fn does_by_default(&self, rule: &Rule) -> bool {
        let errno = |action: &str, errno: Option<u32>| (action == "SCMP_ACT_ERRNO").then(|| errno.unwrap_or(EPERM));
        // The old name of the same.
        let known = |action: &str| if action == "SCMP_ACT_KILL" { "SCMP_ACT_KILL_THREAD" } else { action }.to_owned();
        known(&rule.action) == known(&self.default_action)
            && errno(&rule.action, rule.errno_ret) == errno(&self.default_action, self.default_errno_ret)
    }
}

/// What runtimes make of one rule's tests: one rule, or where two are on one argument, which libseccomp does not take, a
/// rule of each test.
fn rules_of(tests: &[Test]) -> Vec<Vec<Test>> {
    let twice = tests.iter().enumerate().any(|(at, test)| tests[..at].iter().any(|other| other.index == test.index));
    if twice { tests.iter().map(|test| vec![*test]).collect() } else { vec![tests.to_vec()] }
}

fn empty(file: &str, default: Answer) -> Policy {
    let (calls, unknown) = Default::default();
    Policy { name: file.to_owned(), default, calls, unknown }
}

fn answer(action: &str, errno: Option<u32>) -> Answer {
    match action {
        "SCMP_ACT_ALLOW" | "SCMP_ACT_LOG" => Answer::Allow,
        "SCMP_ACT_ERRNO" => Answer::Errno(errno.unwrap_or(EPERM)),
        other => Answer::Other(other.to_owned()),
    }
}

fn test(arg: &Arg) -> Result<Test, String> {
    let (op, value) = match arg.op.as_str() {
        "SCMP_CMP_EQ" => (Op::Equal, arg.value),
        "SCMP_CMP_NE" => (Op::NotEqual, arg.value),
        "SCMP_CMP_LT" => (Op::Less, arg.value),
        "SCMP_CMP_LE" => (Op::LessOrEqual, arg.value),
        "SCMP_CMP_GT" => (Op::Greater, arg.value),
        "SCMP_CMP_GE" => (Op::GreaterOrEqual, arg.value),
        "SCMP_CMP_MASKED_EQ" => (Op::Masked(arg.value), arg.value_two & arg.value),
        other => return Err(format!("{other:?} compares nothing that seccomp knows")),
    };
    if arg.index > 5 {
        return Err(format!("argument {} does not exist: a system call has 0 to 5", arg.index));
    }
    Ok(Test { index: arg.index, op, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::Profiles;

    fn first(policy: &Policy, name: &str, argument: u64) -> String {
        policy.answer(Some(name), [argument, 0, 0, 0, 0, 0]).answer.to_string()
    }

    #[test]
    fn dockers_form_is_read_for_this_machine_and_no_capability() {
        let text = r#"{"defaultAction":"SCMP_ACT_ERRNO","archMap":[],"syscalls":[
            {"names":["read"],"action":"SCMP_ACT_ALLOW"},
            {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
            {"names":["write"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390x"]}},
            {"names":["ptrace"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4.8"}},
            {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":38,"op":"SCMP_CMP_LT"}]},
            {"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38,"excludes":{"caps":["CAP_SYS_ADMIN"]}},
            {"names":["kexec_load"],"action":"SCMP_ACT_KILL_PROCESS"}]}"#;
        let policy = parse("d.json", text).unwrap();
        for (name, argument, answer) in [
            ("read", 0, "allowed"),
            ("mount", 0, "EPERM"),
            ("write", 0, "EPERM"),
            ("ptrace", 0, "allowed"),
            ("socket", 37, "allowed"),
            ("socket", 38, "EPERM"),
            ("clone3", 0, "ENOSYS"),
            ("kexec_load", 0, "SCMP_ACT_KILL_PROCESS"),
        ] {
            assert_eq!(first(&policy, name, argument), answer, "{name}");
        }
    }

    #[test]
    fn a_rule_for_other_kernels_does_not_count() {
        let rule = |only: &str| format!(r#"{{"names":["ptrace"],"action":"SCMP_ACT_ALLOW",{only}}}"#);
        for (only, on_old, on_new) in [
            (r#""includes":{"minKernel":"4.8"}"#, "EPERM", "allowed"),
            (r#""excludes":{"minKernel":"4.8"}"#, "allowed", "EPERM"),
            (r#""includes":{"minKernel":"4.8","caps":["CAP_SYS_PTRACE"]}"#, "EPERM", "EPERM"),
        ] {
            let text = format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{}]}}"#, rule(only));
            for (kernel, answer) in [("4.7", on_old), ("4.8", on_new), ("4.18", on_new)] {
                let policy = parse_on(kernel.parse().unwrap(), "d.json", &text).unwrap();
                assert_eq!(first(&policy, "ptrace", 0), answer, "{only} on {kernel}");
            }
        }
        let text = format!(
            r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{}]}}"#,
            rule(r#""includes":{"minKernel":"new"}"#)
        );
        assert!(parse("d.json", &text).unwrap_err().to_string().contains("minKernel is \"new\""));
    }

    #[test]
    fn our_own_filter_comes_back_as_it_went() {
        let profiles = Profiles::load(None).unwrap();
        let profile = profiles.get("run").unwrap();
        let text = serde_json::to_string(&profile.to_oci().unwrap()).unwrap();
        let (theirs, ours) = (parse("f", &text).unwrap(), Policy::of("run", profile));
        for name in super::super::calls::here() {
            for argument in [0, 1, 2, 17, 0x5401, 0x1000_0000, u64::MAX] {
                for args in [[argument; 6], [0, argument, 0, 0, 0, 0], [argument, 0, 0, 0, 0, 0]] {
                    let pair = (ours.answer(Some(name), args).answer, theirs.answer(Some(name), args).answer);
                    assert_eq!(pair.0, pair.1, "{name} {args:x?}");
                }
            }
        }
    }

    /// Each as libseccomp 2.5.4 compiles it.
    #[test]
    fn rules_count_as_libseccomp_and_the_runtimes_take_them() {
        let five = r#""args":[{"index":0,"value":5,"op":"SCMP_CMP_EQ"}]"#;
        let rule = |action: &str, more: &str| format!(r#"{{"names":["socket"],"action":"SCMP_ACT_{action}"{more}}}"#);
        let when = |action: &str| rule(action, &format!(",{five}"));
        let both = r#","args":[{"index":0,"value":3,"op":"SCMP_CMP_GT"},{"index":0,"value":6,"op":"SCMP_CMP_LT"}]"#;
        let masked = r#","args":[{"index":0,"value":1,"valueTwo":3,"op":"SCMP_CMP_MASKED_EQ"}]"#;
        let as_default = rule("ERRNO", r#","errnoRet":38"#);
        for (rules, at_five, at_nine) in [
            ([when("ERRNO"), rule("ALLOW", "")], "allowed", "allowed"),
            ([rule("ALLOW", ""), when("ERRNO")], "allowed", "allowed"),
            ([when("ALLOW"), rule("ERRNO", "")], "EPERM", "EPERM"),
            ([rule("ERRNO", ""), rule("ALLOW", "")], "EPERM", "EPERM"),
            ([when("ALLOW"), as_default.clone()], "allowed", "ENOSYS"),
            ([as_default, rule("ALLOW", both)], "allowed", "allowed"),
            ([when("ALLOW"), rule("ALLOW", masked)], "allowed", "allowed"),
            ([when("ALLOW"), when("ERRNO")], "undecided", "ENOSYS"),
        ] {
            let rules = rules.join(",");
            let text = format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"syscalls":[{rules}]}}"#);
            let policy = parse("f", &text).unwrap();
            assert_eq!((&*first(&policy, "socket", 5), &*first(&policy, "socket", 9)), (at_five, at_nine), "{rules}");
        }
    }

    /// Each was compiled by libseccomp 2.5.4, and where this is undecided, the filter did something else than the rules say.
    #[test]
    fn what_libseccomp_is_known_to_compile_wrongly_is_undecided() {
        let arg = |(index, op, value): &(u32, &str, u64)| {
            format!(r#"{{"index":{index},"value":{value},"op":"SCMP_CMP_{op}"}}"#)
        };
        let far = (1 << 32) + 3;
        for (rules, at, answer) in [
            // At 6, as if the second rule held.
            (&[&[(0, "LE", 5)][..], &[(0, "GE", far)]][..], 6, "undecided"),
            (&[&[(0, "LE", 40)], &[(0, "LT", 40)], &[(0, "LE", 1 << 32)]], 41, "undecided"),
            (&[&[(0, "GT", 5)], &[(0, "GT", 3), (1, "NE", 4)]], 4, "undecided"),
            (&[&[(0, "NE", 3)], &[(0, "NE", 4), (1, "EQ", 5)]], 3, "undecided"),
            (&[&[(0, "EQ", 3), (1, "LE", 5)], &[(0, "NE", 5), (1, "EQ", 2)]], 3, "undecided"),
            // Right, as tried: one alone, one beside equalities, and values of one upper half.
            (&[&[(0, "GE", far)]], 6, "ENOSYS"),
            (&[&[(0, "GE", far)], &[(0, "EQ", 6)]], 6, "allowed"),
            (&[&[(0, "LT", 38)], &[(0, "EQ", 39)], &[(0, "GT", 40)]], 38, "ENOSYS"),
            (&[&[(0, "GT", far + 1)], &[(0, "LE", far)]], far + 1, "ENOSYS"),
            (&[&[(0, "GT", 5), (1, "NE", 4)]], 6, "allowed"),
            (&[&[(0, "LE", 5)], &[(0, "GE", far)], &[]], 6, "allowed"),
        ] {
            let rule = |args: &&[(u32, &str, u64)]| {
                let args = args.iter().map(arg).collect::<Vec<_>>().join(",");
                format!(r#"{{"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{args}]}}"#)
            };
            let list = rules.iter().map(rule).collect::<Vec<_>>().join(",");
            let text = format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"syscalls":[{list}]}}"#);
            let policy = parse("f", &text).unwrap();
            let said = policy.answer(Some("socket"), [at, 0, 0, 0, 0, 0]);
            assert_eq!(said.answer.to_string(), answer, "{list}");
            assert!(answer != "undecided" || said.why.contains("libseccomp is known to lose"), "{}", said.why);
            // What is not known is not compared either.
            let unknown = crate::seccomp::compare(&policy, &policy).unknown.contains("socket");
            assert_eq!(unknown, answer == "undecided", "{list}");
        }
    }

    #[test]
    fn what_is_no_filter_is_told() {
        for (text, words) in [
            ("{", "EOF"),
            (r#"{"syscalls":[]}"#, "defaultAction"),
            (
                r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["reed"],"action":"SCMP_ACT_ALLOW"}]}"#,
                "did you mean read?",
            ),
            (
                r#"{"defaultAction":"A","syscalls":[{"names":["read"],"action":"B","args":[{"index":7,"value":0,"op":"SCMP_CMP_EQ"}]}]}"#,
                "argument 7",
            ),
        ] {
            let said = parse("f.json", text).unwrap_err().to_string();
            assert!(said.starts_with("f.json: ") && said.contains(words), "{said}");
        }
        let open = parse("c.json", r#"{"ociVersion":"1.0.2","linux":{}}"#).unwrap();
        assert_eq!(first(&open, "mount", 0), "allowed", "no filter at all");
    }
}
