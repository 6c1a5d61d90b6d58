//! `casemate config`: what is in force, where it came from, and nothing secret.

use std::fs;

use crate::support::{Runtime, Settings, account, command};

fn said(settings: &Settings) -> (bool, String, String) {
    let said = command::casemate(settings, &["config"], b"");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    (said.status.success(), text(&said.stdout), text(&said.stderr))
}

/// A line's key, value and source.
fn line(text: &str, key: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(&format!("{key} ="))).unwrap_or_default();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_source_is_named_and_passwords_are_not_shown() {
    let directory = account::directory("settings");
    let file = directory.path().join("casemate.toml");
    let text = "# mine\nqueue_size = 7\nmirror = \"http://ann:hunter2@mirror.example/debian\"\n[pool]\nleast = 2\n\
                [limits.c.run]\npids = 9\n";
    fs::write(&file, text).expect("a file");
    account::give(&file);
    let settings = Settings::new(Runtime::Crun)
        .set("CASEMATE_CONFIG", file.display())
        .set("MAX_WORKERS", 5)
        .set("CASEMATE_LIMITS__JAVA__COMPILE__MEMORY_MIB", 600);
    let (fine, text, err) = said(&settings);
    assert!(fine && err.is_empty(), "{err}");
    let from = |number: u32| format!("# {}:{number}", file.display());
    for (key, wanted) in [
        ("queue_size", format!("queue_size = 7 {}", from(2))),
        ("pool.least", format!("pool.least = 2 {}", from(5))),
        ("limits.c.run.pids", format!("limits.c.run.pids = 9 {}", from(7))),
        ("max_workers", "max_workers = 5 # environment: MAX_WORKERS".to_owned()),
        (
            "limits.java.compile.memory_mib",
            "limits.java.compile.memory_mib = 600 # environment: CASEMATE_LIMITS__JAVA__COMPILE__MEMORY_MIB".to_owned(),
        ),
        ("port", "port = 8080 # default".to_owned()),
        ("limits.python.run.memory_mib", "limits.python.run.memory_mib = 100 # the language's own".to_owned()),
    ] {
        assert_eq!(line(&text, key), wanted, "{text}");
    }
    assert!(text.contains("http://(hidden)@mirror.example/debian") && !text.contains("hunter2"), "{text}");

    // It is a settings file itself, and means the same.
    let again = directory.path().join("again.toml");
    fs::write(&again, text.replace("(hidden)@", "")).expect("a file");
    account::give(&again);
    let settings = Settings::bare().set("CASEMATE_CONFIG", again.display());
    let (fine, second, err) = said(&settings);
    assert!(fine, "{err}");
    assert!(
        line(&second, "max_workers").starts_with("max_workers = 5 # ")
            && line(&second, "pool.least").starts_with("pool.least = 2 # ")
    );
}

#[test]
fn a_mistake_is_told_as_at_a_start() {
    let (fine, out, err) = said(&Settings::new(Runtime::Crun).set("CASEMATE_QUEUE_SISE", 1));
    assert!(!fine && out.is_empty() && err.contains("did you mean QUEUE_SIZE?"), "{err}");
}
