//! `casemate seccomp`: what an auditor asks, and what he gets to read.

use std::fs;
use std::path::Path;

use crate::support::{Runtime, Settings, account, command};

fn said(arguments: &[&str]) -> (bool, String, String) {
    let said = command::casemate(&Settings::new(Runtime::Crun), &[&["seccomp"], arguments].concat(), b"");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (said.status.success(), text(&said.stdout), text(&said.stderr))
}

fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("a file");
    account::give(&path);
    path.display().to_string()
}

#[test]
fn every_profile_is_listed_shown_and_explained() {
    let (fine, list, _) = said(&["list"]);
    assert!(fine && list.contains("run+java, beyond run (seccomp/java.json)"), "{list}");
    assert!(
        list.contains("used by: c compile, cpp compile") && list.contains("used by: c run, cpp run, python run"),
        "{list}"
    );

    let (fine, shown, _) = said(&["show", "run"]);
    let (allowed, refused) = shown.split_once("\nRefused, with EPERM\n").expect("both");
    assert!(fine && allowed.contains("  local sockets\n    AF_UNIX: "), "{shown}");
    assert!(refused.contains("ptrace") && refused.contains("seen in tests/attacks/programs/"), "{shown}");

    let (fine, oci, _) = said(&["show", "run", "--oci"]);
    let golden = include_str!("../golden/seccomp-run.json");
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert!(fine && parse(&oci) == parse(golden), "what the runtime reads");

    let (fine, words, _) = said(&["explain", "ptrace"]);
    assert!(fine && words.contains("refused, EPERM") && words.contains("docker-default:\n  allowed"), "{words}");
    assert_eq!(said(&["explain", "101"]).1, words, "by number");
}

#[test]
fn filters_are_held_against_each_other() {
    let (fine, java, _) = said(&["diff", "run+java", "run"]);
    assert!(fine && java.starts_with("run+java allows and run does not: 1\n  mincore\n"), "{java}");
    let (fine, docker, _) = said(&["diff", "run", "docker-default"]);
    assert!(fine && docker.contains("docker-default allows and run does not: "), "{docker}");

    let directory = account::directory("filters");
    let (_, oci, _) = said(&["show", "compile", "--oci"]);
    let same = file(directory.path(), "compile-oci.json", &oci);
    let (fine, none, _) = said(&["diff", "compile", &same]);
    assert!(fine && none.contains(" does not: 0\n") && none.contains("other arguments: 0\n"), "{none}");
    assert!(none.contains("in another way: 0\n"), "{none}");
}

#[test]
fn a_reviewers_own_profile_is_checked_strictly() {
    let directory = account::directory("profiles");
    let profile = |names: &str| {
        let rule =
            format!(r#"{{"group":"mine","action":"allow","comment":"a debugger of the course","names":[{names}]}}"#);
        format!(r#"{{"comment":"mine","extends":"compile","rules":[{rule}]}}"#)
    };
    let right = file(directory.path(), "right.json", &profile(r#""mincore""#));
    let (fine, text, err) = said(&["check", &right]);
    assert!(fine && text.contains("right; it makes right") && err.is_empty(), "{text}{err}");
    assert!(text.contains("opens:   right allows mincore"), "{text}");
    for (names, words) in [
        (r#""mincoer""#, "there is no system call \"mincoer\"; did you mean mincore?"),
        (r#""ptrace""#, "says the contrary"),
        (r#""clone3""#, "has to look unknown"),
        ("", "name at least one system call"),
    ] {
        let wrong = file(directory.path(), "wrong.json", &profile(names));
        let (fine, text, _) = said(&["check", &wrong]);
        assert!(!fine && text.contains(words) && text.contains("wrong.json: rule \"mine\""), "{names}: {text}");
    }
    let foreign = file(directory.path(), "docker.json", r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[]}"#);
    let (fine, text, _) = said(&["check", &foreign]);
    assert!(!fine && text.contains("`casemate seccomp diff` reads it"), "{text}");
}

#[test]
fn what_is_wrong_is_named_with_its_remedy() {
    for (arguments, words) in [
        (&["show", "walk"][..], "there is no profile \"walk\"; the profiles are: compile, compile+java, run, run+java"),
        (&["explain", "ptrce"], "did you mean ptrace?"),
        (
            &["simulate", "run", "socket", "AF_UNIX"],
            "argument \"AF_UNIX\" is no number of 64 bits: write 10, 0xa or -1",
        ),
        (&["simulate", "run", "stime"], "stime is no system call of this machine"),
        (&["simulate", "run", "0x40000001"], "is no number of the native table"),
        (&["simulate", "run", "read", "1", "2", "3", "4", "5", "6", "7"], "unexpected"),
        (&["diff", "run", "/nowhere"], "and there is no such file"),
    ] {
        let (fine, out, err) = said(arguments);
        assert!(!fine && out.is_empty() && err.contains(words), "{arguments:?}: {err}");
    }
}
