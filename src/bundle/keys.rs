//! The keys of a configuration that are compared as they stand, and those that are not compared at all.

use std::collections::BTreeMap;

use serde_json::Value;

/// Compared as they stand (OCI runtime specification, `config.md` and `config-linux.md`).
const FACTS: [&str; 8] = [
    "process.user.gid",
    "process.user.additionalGids",
    "process.oomScoreAdj",
    "linux.uidMappings",
    "linux.gidMappings",
    "linux.rootfsPropagation",
    "linux.seccomp.architectures",
    "linux.seccomp.flags",
];

/// Compared in their own way, with all that is below them.
const COMPARED: [&str; 24] = [
    "root.readonly",
    "hooks",
    "process.terminal",
    "process.user.uid",
    "process.capabilities",
    "process.noNewPrivileges",
    "process.rlimits.[].type",
    "process.rlimits.[].hard",
    "linux.namespaces",
    "linux.devices",
    "linux.maskedPaths",
    "linux.readonlyPaths",
    "linux.sysctl",
    "linux.resources.memory.limit",
    "linux.resources.pids.limit",
    "linux.resources.cpu.quota",
    "linux.resources.cpu.period",
    "linux.seccomp.defaultAction",
    "linux.seccomp.defaultErrnoRet",
    "linux.seccomp.syscalls",
    "mounts.[].destination",
    "mounts.[].type",
    "mounts.[].source",
    "mounts.[].options",
];

/// What stands at the places of [`FACTS`], and every sysctl. What is absent or empty is not in it.
pub(super) fn facts(config: &Value) -> BTreeMap<String, String> {
    let at = |key: &str| config.pointer(&format!("/{}", key.replace('.', "/")));
    let mut found: BTreeMap<String, String> =
        FACTS.iter().filter_map(|key| Some(((*key).to_owned(), shown(at(key)?)?))).collect();
    for (name, value) in at("linux.sysctl").and_then(Value::as_object).into_iter().flatten() {
        found.extend(shown(value).map(|value| (format!("linux.sysctl {name}"), value)));
    }
    found
}

fn shown(value: &Value) -> Option<String> {
    let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    (!empty).then(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// The outermost keys below which nothing is compared; objects of which a part is compared are looked into.
pub(super) fn uncompared(config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(config, "", &mut found);
    found.sort();
    found.dedup();
    found
}

fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
    let each: Vec<(&str, &Value)> = match value {
        Value::Object(keys) => keys.iter().map(|(key, value)| (key.as_str(), value)).collect(),
        Value::Array(items) => items.iter().map(|value| ("[]", value)).collect(),
        _ => return found.push(at.to_owned()),
    };
    for (key, value) in each {
        let path = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
        let known = || FACTS.iter().chain(&COMPARED);
        if known().any(|one| **one == path) || value.is_null() {
            continue;
        }
        if known().any(|one| one.starts_with(&format!("{path}."))) {
            walk(value, &path, found);
        } else {
            found.push(path);
        }
    }
}
