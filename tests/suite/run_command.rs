//! `casemate run`: one file through the same sandbox, without the server; and the commands about images.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Runtime, Server, Settings, account, command};
use crate::{needs, program, support::Need, under_both_runtimes};

fn casemate(runtime: Runtime, arguments: &[&str], input: &[u8]) -> Output {
    command::casemate(&Settings::new(runtime), arguments, input)
}

fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("a program");
    account::give(&path);
    path.display().to_string()
}

fn output_and_status_pass_through(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let dir = account::directory("programs");
    let both = "import sys\nprint('to out')\nprint('to err', file=sys.stderr)\n";
    // File, program, standard input; exit status, standard output, standard error.
    type Case<'a> = (&'a str, String, &'a [u8], i32, &'a [u8], &'a str);
    let rows: [Case; 11] = [
        ("both.py", both.to_owned(), b"", 0, b"to out\n", "to err\n"),
        ("status.py", format!("{both}sys.exit(7)"), b"", 7, b"to out\n", "to err\n"),
        ("sum.py", "print(sum(map(int, input().split())))".to_owned(), b"1 2 3", 0, b"6\n", ""),
        ("hello.c", program!("c/hello.c").to_owned(), b"", 0, b"hello\n", ""),
        ("hello.cpp", program!("cpp/hello.cpp").to_owned(), b"", 0, b"hello\n", ""),
        ("Hello.java", program!("java/Hello.java").to_owned(), b"", 0, b"hello\n", ""),
        ("segv.c", "int main(void) { *(volatile int *)0 = 1; }".to_owned(), b"", 139, b"", ""),
        ("kill.py", "import os; os.kill(os.getpid(), 9)".to_owned(), b"", 137, b"", ""),
        ("abort.cpp", "#include <cstdlib>\nint main() { std::abort(); }".to_owned(), b"", 134, b"", ""),
        ("term.c", "#include <signal.h>\nint main(void) { raise(SIGTERM); }".to_owned(), b"", 143, b"", ""),
        ("bytes.py", "import sys; sys.stdout.buffer.write(b'\\xff\\x00\\xfe')".to_owned(), b"", 0, b"\xff\0\xfe", ""),
    ];
    let mut wrong = Vec::new();
    for (name, text, input, status, stdout, stderr) in rows {
        let seen = casemate(runtime, &["run", &file(dir.path(), name, &text)], input);
        // A note of ours about the ending may follow on standard error; the program's own words come first.
        let err = String::from_utf8_lossy(&seen.stderr);
        if seen.status.code() != Some(status) || seen.stdout != stdout || !err.starts_with(stderr) {
            wrong.push(format!("{name}: {:?} {:?} {err:?}", seen.status, String::from_utf8_lossy(&seen.stdout)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn standard_input_is_binary(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let dir = account::directory("programs");
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let echo = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())";
    for (name, text) in [("echo.py", echo), ("echo.c", program!("c/echo.c"))] {
        let seen = casemate(runtime, &["run", &file(dir.path(), name, text)], &bytes);
        assert!(seen.status.success(), "{name}: {:?} {}", seen.status, String::from_utf8_lossy(&seen.stderr));
        assert!(seen.stdout == bytes, "{name}: {} bytes came back of {}", seen.stdout.len(), bytes.len());
    }
}

fn the_language_can_be_named(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let dir = account::directory("programs");
    let program = file(dir.path(), "program", "print('hi')");
    let seen = casemate(runtime, &["run", &program, "--language", "python"], b"");
    assert_eq!((seen.status.code(), &seen.stdout[..]), (Some(0), &b"hi\n"[..]), "{seen:?}");

    let missing = dir.path().join("missing.py").display().to_string();
    for (arguments, words) in [
        (vec!["run", &program], vec!["language"]),
        (vec!["run", &program, "--language", "cobol"], vec!["cobol"]),
        (vec!["run", &missing], vec!["missing.py"]),
        (vec!["run"], vec!["FILE"]),
    ] {
        let seen = casemate(runtime, &arguments, b"");
        let said = String::from_utf8_lossy(&seen.stderr).into_owned();
        assert!(!seen.status.success() && seen.stdout.is_empty(), "{arguments:?}: {seen:?}");
        assert!(words.iter().all(|word| said.contains(word)) && !said.contains("panicked"), "{arguments:?}: {said}");
    }
}

fn the_report_is_json(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let dir = account::directory("programs");
    let rows = [
        ("ok.py", "print('hi')", 0, "completed", "accepted"),
        ("status.py", "import sys; sys.exit(7)", 7, "failed", "exit_status"),
        ("memory.py", "x = b'x' * (200 << 20)", 137, "failed", "memory_limit"),
        ("broken.c", "int main(void) { return }", 1, "failed", "compile_error"),
    ];
    for (name, text, exit, status, verdict) in rows {
        let seen = casemate(runtime, &["run", "--json", &file(dir.path(), name, text)], b"");
        let report: Value = serde_json::from_slice(&seen.stdout).unwrap_or_else(|error| panic!("{error}: {seen:?}"));
        assert_eq!((&report["status"], &report["verdict"]), (&json!(status), &json!(verdict)), "{name}: {report:#}");
        assert_eq!(seen.status.code(), Some(exit), "{name}: {seen:?}");
    }
}

/// What is another each time, or on another machine.
const VOLATILE: [&str; 15] = [
    "id",
    "queued_at",
    "started_at",
    "ended_at",
    "queue_us",
    "run_us",
    "wall_us",
    "cpu_us",
    "memory_bytes",
    "runtime",
    "digest",
    "limit",
    "used",
    "enforced_by",
    "fired",
];

/// Field by field in the order of the text, without values that differ.
fn steady(document: &str) -> String {
    let line = |line: &str| {
        let volatile = |name: &&str| line.trim_start().starts_with(&format!("\"{name}\": "));
        let value = !line.ends_with('{') && VOLATILE.iter().any(volatile);
        let (name, _) = line.split_once(": ").filter(|_| value).unwrap_or((line, ""));
        if value { format!("{name}: …\n") } else { format!("{line}\n") }
    };
    document.lines().map(line).collect()
}

const DOCUMENT: &str = "tests/golden/run-json.txt";

/// Name by name, and what is the same each time value by value.
fn the_report_is_that_of_the_service(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let dir = account::directory("programs");
    let source = "#include <stdio.h>\nint main(void) { puts(\"out\"); fputs(\"err \\xff\", stderr); return 3; }\n";
    let seen = casemate(runtime, &["run", "--json", &file(dir.path(), "both.c", source)], b"");
    assert_eq!(seen.status.code(), Some(3), "{seen:?}");
    let told = String::from_utf8(seen.stdout).expect("text");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(&path, steady(&told)).expect("the document");
    }
    let golden = fs::read_to_string(&path).expect("the document");
    assert_eq!(steady(&told), golden, "{DOCUMENT}; if this is meant: UPDATE_GOLDEN=1 cargo test --test suite");

    let seen = Server::shared(runtime).client().judge(&json!({"language": "c", "source": source}));
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(steady(&format!("{told:#}")), steady(&format!("{seen:#}")), "the command, and the service");
}

fn images_are_listed_and_verified(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let listed = casemate(runtime, &["image", "list"], b"");
    assert!(listed.status.success() && listed.stdout.iter().filter(|byte| **byte == b'\n').count() >= 1, "{listed:?}");
    let verified = casemate(runtime, &["image", "verify"], b"");
    assert!(verified.status.success(), "{verified:?}");
}

under_both_runtimes!(
    output_and_status_pass_through,
    standard_input_is_binary,
    the_language_can_be_named,
    the_report_is_json,
    the_report_is_that_of_the_service,
    images_are_listed_and_verified,
);
