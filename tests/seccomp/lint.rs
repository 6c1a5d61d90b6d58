//! The profiles as text. That no rule contradicts or repeats another is refused when they are read; the unit tests of
//! `src/seccomp/` show it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::filter::{ENOSYS, EPERM, filter, list, names, number};
use crate::needs;
use crate::support::Need;

/// The files, by name.
fn files() -> Vec<(String, Value)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("seccomp");
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let json = paths.filter(|path| path.extension().is_some_and(|e| e == "json"));
    let read = |path: &Path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let files: Vec<(String, Value)> = json.map(|path| (path.display().to_string(), read(&path))).collect();
    assert!(files.len() > 2);
    files
}

/// Every rule of a file, those that it adds to others too.
fn rules(file: &Value) -> Vec<&Value> {
    let added = file["adds"].as_object().into_iter().flatten().flat_map(|(_, rules)| list(rules));
    list(&file["rules"]).iter().chain(added).collect()
}

#[test]
fn every_name_is_known_to_libseccomp() {
    needs!(Need::Resolver);
    assert_eq!((number("read"), number("no_such_call")), (Some(0), None), "the resolver is not what was expected");
    // A name that libseccomp does not know is left out of the filter in silence.
    for (file, content) in files() {
        let hidden = list(&content["unknown"]).iter();
        let names = rules(&content).into_iter().chain(hidden).flat_map(|rule| list(&rule["names"]));
        let unknown: Vec<&str> = names.map(|n| n.as_str().unwrap()).filter(|n| number(n).is_none()).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn no_rule_says_what_holds_anyway() {
    for name in names() {
        let filter = filter(&name);
        assert_eq!((&filter["defaultAction"], &filter["defaultErrnoRet"]), (&json!("SCMP_ACT_ERRNO"), &json!(ENOSYS)));
        for rule in list(&filter["syscalls"]) {
            let same = rule["action"] == filter["defaultAction"] && rule["errnoRet"] == filter["defaultErrnoRet"];
            assert!(!same, "{name}: {rule}");
            assert!(rule["action"] == "SCMP_ACT_ALLOW" || rule["errnoRet"] == EPERM, "{name}: {rule}");
        }
    }
}

#[test]
fn every_rule_says_what_it_is_for() {
    for (file, content) in files() {
        let hidden = list(&content["unknown"]).iter();
        for rule in std::iter::once(&content).chain(rules(&content)).chain(hidden) {
            assert!(rule["comment"].as_str().is_some_and(|comment| comment.len() > 8), "{file}: {rule}");
        }
        assert!(rules(&content).iter().all(|rule| rule["group"].as_str().is_some_and(|g| !g.is_empty())));
    }
}

#[test]
fn every_refusal_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut refusals = 0;
    for (file, content) in files() {
        for rule in rules(&content).into_iter().filter(|rule| rule["action"] == "refuse") {
            refusals += 1;
            let tests: Vec<&str> = list(&rule["shown_by"]).iter().map(|test| test.as_str().unwrap()).collect();
            assert!(!tests.is_empty(), "{file}: no test shows {}", rule["group"]);
            let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
            let there = |test: &str| match test.split_once("::") {
                Some((path, function)) => read(path).contains(&format!("fn {function}(")),
                // An attack, which its header says is stopped by the filter.
                None => read(test).lines().any(|line| line.contains("stopped-by:") && line.contains("seccomp")),
            };
            for test in tests {
                assert!(there(test), "{file}: {test} is not there, or not stopped by the filter");
            }
        }
    }
    assert!(refusals > 20, "{refusals}");
}

/// One rule lists the flags that are refused, another has their sum as a mask of what is allowed.
#[test]
fn the_flags_of_clone_are_the_same_in_both_rules() {
    for (file, content) in files() {
        let value = |value: &Value| {
            let text = value.as_str().map(|text| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap());
            text.or_else(|| value.as_u64()).unwrap()
        };
        let of_clone = rules(&content).into_iter().filter(|rule| rule["names"] == json!(["clone"]));
        let args: Vec<&Value> = of_clone.flat_map(|rule| list(&rule["args"])).collect();
        let [allowed, refused] = args[..] else { continue };
        let flags: BTreeSet<u64> = list(&refused["any_bit_of"]).iter().map(|flag| value(&flag["value"])).collect();
        assert_eq!(value(&allowed["mask"]), flags.iter().sum::<u64>(), "{file}");
        return;
    }
    panic!("no profile has two rules on clone");
}
