//! Containers made ahead of their jobs: what a program sees and prints in one that waited is what it sees and prints in one
//! that was made for it. A corpus of programs, byte for byte.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Runtime, Seen, Server, Settings, scale};
use crate::{needs, support::Need, under_both_runtimes};

/// Names and texts of the programs below this directory.
fn corpus() -> Vec<(String, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/python/corpus");
    let mut all: Vec<(String, String)> = fs::read_dir(dir)
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(&path).unwrap()))
        .collect();
    all.sort();
    assert!(all.len() >= 25, "{} programs", all.len());
    all
}

const INPUT: &str = "first\nsecond\nthe\0rest";

/// The interpreter's own command line, where the place of the program tells whether it waited.
const WAITED: &str = "print('$case' + 'mate$' in open('/proc/self/cmdline').read())";

/// Submits until the answer comes from a container that waited: one is made whenever a processor has time for it.
fn until_one_waits(server: &Server) {
    let deadline = Instant::now() + scale::patience(Duration::from_secs(60));
    while server.client().run("python", WAITED, None).output() != "True\n" {
        assert!(Instant::now() < deadline, "no container waits:\n{}", server.log());
    }
}

/// Runs it in a container that waited; whether one was there is in the log.
fn warm(server: &Server, code: &str) -> Seen {
    let deadline = Instant::now() + scale::patience(Duration::from_secs(120));
    loop {
        let client = server.client();
        let id = client.submit("python", code, Some(INPUT));
        let seen = client.finish(&id, deadline).expect("its end");
        if server.log().lines().any(|line| line.contains(&id) && line.contains("waited for it")) {
            return seen;
        }
        assert!(Instant::now() < deadline, "no container waits");
    }
}

/// Addresses differ from process to process: every run of 12 or more digits, hexadecimal ones too, becomes `#`.
fn without_addresses(text: &str) -> String {
    let (mut clean, mut digits) = (String::new(), String::new());
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_hexdigit() {
            digits.push(c);
            continue;
        }
        clean += if digits.len() < 12 { &digits } else { "#" };
        digits.clear();
        clean.push(c);
    }
    clean
}

fn python_is_the_same(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let cold = Settings::new(runtime).set("CASEMATE_POOL__LEAST", 0).set("CASEMATE_POOL__MOST", 0);
    let cold = Server::start(&cold);
    assert_eq!(cold.client().run("python", WAITED, None).output(), "False\n");
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_POOL__LEAST", 2).set("CASEMATE_LOG", "debug"));
    until_one_waits(&server);
    let mut different = String::new();
    for (name, code) in corpus() {
        let (cold, warm) = (cold.client().run("python", &code, Some(INPUT)), warm(&server, &code));
        let outputs = [&cold, &warm].map(|seen| without_addresses(seen.output()));
        if cold.state() != warm.state() || outputs[0] != outputs[1] {
            different += &format!("{name}:\n  made for it  {:?}\n  had waited   {:?}\n", outputs[0], outputs[1]);
        }
    }
    assert!(different.is_empty(), "{different}");
}

/// A program of which only the source's own length decides whether it can be handed to an interpreter that waits.
fn what_does_not_fit_is_run_all_the_same(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_POOL__LEAST", 1));
    until_one_waits(&server);
    for length in [131_071, 131_072] {
        let code = format!("print(1)#{}", "x".repeat(length - 9));
        assert_eq!(server.client().run("python", &code, None).output(), "1\n", "{length}");
    }
    let seen = server.client().run("python", "print(1)\0", None);
    assert!(seen.output().contains("source code string cannot contain null bytes"), "{}", seen.output());
}

/// Limits count from the hand-over, and hold as ever.
fn limits_hold(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("CASEMATE_POOL__LEAST", 2).set("CASEMATE_LOG", "debug");
    let server = Server::start(&settings.limit(&["python"], "RUN", "WALL_MS", 1500));
    until_one_waits(&server);
    assert_eq!(warm(&server, "x = b'x' * (200 << 20)").output(), "\nexit status 137");
    let timed_out = format!("\nexecution timed out after {} seconds", scale::seconds(1500));
    assert_eq!(warm(&server, "while True: pass").output(), timed_out);
    // Neither the wait nor the start of the interpreter is counted.
    let began = warm(&server, "print(1)");
    assert!(began.execution_ms() < scale::limit("WALL_MS", 1500), "{}", began.result);
    assert_eq!(warm(&server, "import os; print(os.listdir('/tmp'), os.listdir('/code'))").output(), "[] []\n");
}

/// The same program is compiled once, and another one is not taken for it.
fn compiled_programs_are_kept(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime));
    let client = server.client();
    let text = |n: u32| format!("#include <stdio.h>\nint main(void) {{ puts(\"{n}\"); return 0; }}");
    for n in [1, 2, 1, 2, 1] {
        let seen = client.run("c", &text(n), None);
        assert_eq!((seen.state(), seen.output()), ("completed", &*format!("{n}\n")));
    }
    let compiled = server.log().lines().filter(|line| line.contains("[C-") && line.contains("compile: ")).count();
    let kept = server.log().lines().filter(|line| line.contains("compiled before")).count();
    assert_eq!((compiled, kept), (5, 3), "{}", server.log());
    // What did not compile is tried again.
    let bad = "int main(void) { return nothing; }";
    let outputs = [client.run("c", bad, None), client.run("c", bad, None)].map(|seen| seen.output().to_owned());
    assert!(outputs[0].starts_with("Compilation error:\n") && outputs[0] == outputs[1], "{outputs:?}");
}

under_both_runtimes!(
    python_is_the_same,
    what_does_not_fit_is_run_all_the_same,
    limits_hold,
    compiled_programs_are_kept,
);
