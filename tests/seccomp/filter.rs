//! A profile as the runtime reads it, and what it says of a call.

use std::collections::BTreeMap;
use std::process::Command;

use casemate::seccomp::Profiles;
use serde_json::Value;

/// errno(3), x86 and ARM alike; signal(7).
pub const EPERM: i32 = 1;
pub const ENOSYS: i32 = 38;
pub const SIGSYS: i32 = 31;

/// Every profile, additions joined.
pub fn names() -> Vec<String> {
    Profiles::load(None).unwrap().names().map(str::to_owned).collect()
}

/// A profile as the runtime reads it.
pub fn filter(name: &str) -> Value {
    serde_json::to_value(Profiles::load(None).unwrap().get(name).unwrap().to_oci().unwrap()).unwrap()
}

pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The number that libseccomp knows for a name; negative for a name of another architecture, nothing for none at all.
pub fn number(name: &str) -> Option<i64> {
    let said = Command::new("scmp_sys_resolver").arg(name).output().expect("scmp_sys_resolver");
    let number = String::from_utf8_lossy(&said.stdout).trim().parse().expect("a number");
    // __NR_SCMP_ERROR; what exists elsewhere has -10 000 and less.
    (number != -1).then_some(number)
}

/// The number of a system call of this architecture.
pub fn native(name: &str) -> u64 {
    u64::try_from(number(name).expect("a name")).expect("a number of this architecture")
}

/// The names that the filter speaks of, by number.
pub fn numbers(filter: &Value) -> BTreeMap<u64, String> {
    let names = list(&filter["syscalls"]).iter().flat_map(|rule| list(&rule["names"]));
    let distinct: std::collections::BTreeSet<&str> = names.map(|name| name.as_str().unwrap()).collect();
    let numbered = distinct.into_iter().filter_map(|name| Some((u64::try_from(number(name)?).ok()?, name.to_owned())));
    numbered.collect()
}

/// What the filter says of a call: the errno, or nothing where the kernel decides.
pub fn expected(filter: &Value, name: Option<&str>, args: [u64; 6]) -> Option<i32> {
    let holds = |arg: &Value| {
        let seen = args[usize::try_from(arg["index"].as_u64().unwrap()).unwrap()];
        let value = arg["value"].as_u64().unwrap();
        match arg["op"].as_str().unwrap() {
            "SCMP_CMP_EQ" => seen == value,
            "SCMP_CMP_NE" => seen != value,
            "SCMP_CMP_MASKED_EQ" => seen & value == arg["valueTwo"].as_u64().unwrap(),
            other => panic!("an operator that this test does not know: {other}"),
        }
    };
    let speaks = |rule: &&Value| list(&rule["names"]).iter().any(|n| Some(n.as_str().unwrap()) == name);
    let rule = list(&filter["syscalls"]).iter().filter(speaks).find(|rule| list(&rule["args"]).iter().all(holds));
    match rule {
        Some(rule) if rule["action"] == "SCMP_ACT_ALLOW" => None,
        Some(rule) => Some(i32::try_from(rule["errnoRet"].as_u64().unwrap()).unwrap()),
        None => Some(i32::try_from(filter["defaultErrnoRet"].as_u64().unwrap()).unwrap()),
    }
}
