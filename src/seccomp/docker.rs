//! Docker's default filter, as facts: what an auditor knows already and wants ours held against.

use serde::Deserialize;

use super::foreign::ForeignError;
use super::kernel::Kernel;
use super::policy::{Answer, Case, Op, Policy, Test};
use super::profile::{ENOSYS, EPERM};

/// The name by which commands know it.
pub const DOCKER_DEFAULT: &str = "docker-default";

const FACTS: &str = include_str!("docker.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Facts {
    version: String,
    allowed: String,
    unknown: String,
    since: Vec<Since>,
    when: Vec<When>,
}

/// Allowed from a version of the kernel on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    kernel: String,
    allowed: String,
}

/// Allowed where one argument is one of these.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    name: String,
    index: usize,
    mask: Option<u64>,
    #[serde(default)]
    equals: Vec<u64>,
    below: Option<u64>,
    above: Option<u64>,
}

fn facts() -> Result<Facts, ForeignError> {
    let wrong =
        |error: toml::de::Error| ForeignError::Format { file: "docker.toml".into(), message: error.to_string() };
    toml::from_str(FACTS).map_err(wrong)
}

/// Which version of Docker's filter the facts are of.
///
/// # Errors
/// When the facts cannot be read, which the unit tests exclude.
pub fn docker_version() -> Result<String, ForeignError> {
    Ok(facts()?.version)
}

/// Docker's default filter for a container with Docker's default capabilities, on the kernel that runs here.
///
/// # Errors
/// When the facts cannot be read, which the unit tests exclude.
pub fn docker_default() -> Result<Policy, ForeignError> {
    on(Kernel::running())
}

fn on(kernel: Kernel) -> Result<Policy, ForeignError> {
    let facts = facts()?;
    let mut policy = Policy {
        name: DOCKER_DEFAULT.to_owned(),
        default: Answer::Errno(EPERM),
        calls: std::collections::BTreeMap::new(),
        unknown: std::collections::BTreeMap::new(),
    };
    let mut add = |name: &str, answer, tests| {
        policy.calls.entry(name.to_owned()).or_default().push(Case { answer, tests, why: None });
    };
    for name in facts.allowed.split_whitespace() {
        add(name, Answer::Allow, Vec::new());
    }
    for Since { kernel: since, allowed } in &facts.since {
        let since: Kernel =
            since.parse().map_err(|message| ForeignError::Format { file: "docker.toml".into(), message })?;
        for name in allowed.split_whitespace().filter(|_| kernel >= since) {
            add(name, Answer::Allow, Vec::new());
        }
    }
    for name in facts.unknown.split_whitespace() {
        add(name, Answer::Errno(ENOSYS), Vec::new());
    }
    for When { name, index, mask, equals, below, above } in &facts.when {
        let equal = mask.map_or(Op::Equal, Op::Masked);
        let equals = equals.iter().map(|&value| (equal, value));
        let ranges = below.map(|value| (Op::Less, value)).into_iter().chain(above.map(|value| (Op::Greater, value)));
        for (op, value) in equals.chain(ranges) {
            add(name, Answer::Allow, vec![Test { index: *index, op, value }]);
        }
    }
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_for_newer_kernels_counts_on_those_alone() {
        for (kernel, answer) in [("4.7", Answer::Errno(EPERM)), ("4.8", Answer::Allow), ("6.1", Answer::Allow)] {
            let docker = on(kernel.parse().unwrap()).unwrap();
            for name in ["ptrace", "process_vm_readv", "process_vm_writev"] {
                assert_eq!(docker.answer(Some(name), [0; 6]).answer, answer, "{name} on {kernel}");
            }
            assert_eq!(docker.answer(Some("read"), [0; 6]).answer, Answer::Allow);
        }
    }
}
