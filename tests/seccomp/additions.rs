//! That an addition is needed: without it, the language that names it fails.

use std::fs;
use std::path::Path;

use crate::support::{Need, Runtime, Settings, account, command};
use crate::{needs, program, under_both_runtimes};

/// The output of `program` in the language Java with these profiles.
fn java(runtime: Runtime, compile: &str, run: &str, program: &str) -> String {
    let dir = account::directory("settings");
    let languages = dir.path().join("languages");
    fs::create_dir(&languages).expect("a directory");
    account::give(&languages);
    let ours = include_str!("../../rootfs-build/languages/java.toml");
    let text =
        ours.replace("\"compile+java\"", &format!("\"{compile}\"")).replace("\"run+java\"", &format!("\"{run}\""));
    assert!(text.contains(&format!("\"{compile}\"")) && text.contains(&format!("\"{run}\"")), "{text}");
    let write = |path: &Path, text: &str| {
        fs::write(path, text).expect("a file of the test");
        account::give(path);
    };
    write(&languages.join("java.toml"), &text);
    let path = dir.path().join("Loaded.java");
    write(&path, program);
    let settings = Settings::new(runtime).set("CASEMATE_SETTINGS", dir.path().display());
    let seen = command::casemate(&settings, &["run", &path.display().to_string()], b"");
    format!("{}{}", String::from_utf8_lossy(&seen.stdout), String::from_utf8_lossy(&seen.stderr))
}

fn java_needs_its_addition(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let program = program!("java/Loaded.java");
    let rows = [
        ("compile+java", "run+java", "true\n"),
        ("compile", "run+java", "java.lang.ExceptionInInitializerError"),
        ("compile+java", "run", "java.io.IOException: Function not implemented"),
    ];
    for (compile, run, expected) in rows {
        let said = java(runtime, compile, run, program);
        assert!(said.contains(expected), "{compile}, {run}: {said}");
    }
}

under_both_runtimes!(java_needs_its_addition);
