//! Docker's default filter, as facts: what an auditor knows already and wants ours held against.

use serde::Deserialize;

use super::foreign::ForeignError;
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
    when: Vec<When>,
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

/// Docker's default filter for a container with Docker's default capabilities.
///
/// # Errors
/// When the facts cannot be read, which the unit tests exclude.
pub fn docker_default() -> Result<Policy, ForeignError> {
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
