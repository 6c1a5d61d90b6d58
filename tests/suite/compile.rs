//! The compile step: its errors, its limits, and what it may see.

use std::time::{Duration, Instant};

use super::endings::java;
use crate::support::table::{Row, Table, row};
use crate::support::{Runtime, Server, Settings, scale};
use crate::{needs, program, support::Need, under_both_runtimes};

fn errors() -> Vec<Row> {
    let broken = |name: &str, language: &'static str, code: &str, within: &[&str]| {
        let within: Vec<String> = within.iter().map(ToString::to_string).collect();
        row(name, language, code).check(move |seen| {
            let (state, text) = (seen.state(), seen.output());
            let whole = within.iter().all(|part| text.contains(part.as_str()));
            let fits = state == "failed" && text.starts_with("Compilation error:\n") && whole;
            // Nothing is appended, and no name of the host's appears.
            let bare = !text.contains("\nexit status") && !text.contains("/home/") && !text.contains("/var/lib/");
            if fits && bare { Ok(()) } else { Err(format!("wanted {within:?} … got {state} {text:?}")) }
        })
    };
    vec![
        broken("a missing semicolon", "c", "int main(void) { return 0 }", &["/code/solution.c:1:", "error: expected"]),
        broken("an unknown name", "cpp", "int main() { nothing; }", &["/code/solution.cpp:1:", "error: ", "nothing"]),
        broken("an unknown name", "java", &java("nothing;"), &["/code/Solution.java:3: error: ", "1 error"]),
        broken("another class name", "java", "public class Main { int x = \"\"; }", &["/code/Main.java:1: error: "]),
        broken("no main", "c", "int f(void) { return 0; }", &["main"]),
        broken("empty", "cpp", " ", &["main"]),
        broken("a header that is not there", "c", "#include <nowhere.h>\nint main(void) {}", &["nowhere.h"]),
        broken("a line feed in the name", "c", "#include \"a\n\"\nint main(void) {}", &["error"]),
        broken("Unicode in the message", "c", "#error héllo ✓\nint main(void) {}", &["#error héllo ✓"]),
        broken("the host's shadow file", "c", "#include \"/etc/shadow\"\nint main(void) {}", &["/etc/shadow"]),
        broken("C++20 under C++17", "cpp", "#include <concepts>\nint main() { std::integral auto x = 1; }", &["error"]),
    ]
}

fn successes() -> Vec<Row> {
    vec![
        row("warnings are not output", "c", "#include <stdio.h>\n#warning hi\nint main(void) { puts(\"ok\"); }")
            .completes("ok\n"),
        row(
            "-lm",
            "c",
            "#include <math.h>\n#include <stdio.h>\nint main(int n, char **a) { printf(\"%.3f\\n\", sqrt(n + 1)); }",
        )
        .completes("1.414\n"),
        row(
            "GNU extensions",
            "cpp",
            "#include <bits/stdc++.h>\nint main() { typeof(1) x = 2; std::printf(\"%d\\n\", x); }",
        )
        .completes("2\n"),
        row("an unchecked cast is a note, not output", "java", program!("java/Unchecked.java")).completes("ok\n"),
        row("Unicode in the source", "java", java("System.out.println(\"héllo ✓ 😀\");")).completes("héllo ✓ 😀\n"),
        row("Unicode in the source", "cpp", "#include <cstdio>\nint main() { std::puts(\"héllo ✓ 😀\"); }")
            .completes("héllo ✓ 😀\n"),
        row("a source of 1 MiB", "c", format!("/*{}*/int main(void) {{ return 0; }}", "x".repeat(1 << 20)))
            .completes(""),
    ]
}

fn compile_errors(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(errors()).run(Server::shared(runtime));
}

fn compiles(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    Table::of(successes()).run(Server::shared(runtime));
}

fn time_out(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).limit(&["c", "cpp"], "COMPILE", "WALL_MS", 1500).limit(
        &["java"],
        "COMPILE",
        "WALL_MS",
        50,
    );
    let server = Server::start(&settings);
    let endless = program!("c/endless_includes.c");
    let late = |language, code: &str, seconds: &str| {
        let end = format!("\ncompilation timed out after {seconds} seconds");
        row("a compiler that does not end", language, code).fails_with("Compilation error:\n", &[], &end)
    };
    Table::of([
        late("c", endless, "1.5"),
        late("cpp", endless, "1.5"),
        late("java", program!("java/Hello.java"), "0.05"),
        row("the next one is well", "c", program!("c/hello.c")).completes("hello\n"),
    ])
    .run(&server);
    let seen = server.client().run("c", endless, None);
    assert!(Duration::from_millis(seen.execution_ms()) < Duration::from_secs(4), "{}", seen.result);
}

fn output_cap(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).limit(&["c"], "COMPILE", "OUTPUT_BYTES", 500));
    let code = "#error line\n".repeat(100);
    let seen = server.client().run("c", &code, None);
    let kept = seen.output().strip_prefix("Compilation error:\n").expect("the prefix");
    assert_eq!(seen.state(), "failed");
    assert!(kept.starts_with("/code/solution.c:1:2: error: #error line") && kept.len() < 600, "{kept:?}");
}

fn memory(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    // What has no end is read until there is no memory for more.
    let endless = |device: &str| format!("#include \"/dev/{device}\"\nint main() {{ return 0; }}");
    let (zero, random) = (endless("zero"), endless("random"));
    for (language, code) in [("cpp", program!("cpp/huge_array.cpp")), ("c", &zero), ("cpp", &random)] {
        let seen = Server::shared(runtime).client().run(language, code, None);
        assert_eq!(seen.state(), "failed", "{}", seen.result);
        assert!(seen.output().starts_with("Compilation error:\n"), "{}", seen.result);
    }
}

/// A program may be compiled to something that the kernel does not execute: that is its own affair, not ours, however
/// often it is submitted.
fn what_cannot_be_executed(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_UNREADY_AFTER", 2));
    let client = server.client();
    // An interpreter whose path is longer than any (execve(2): ENOEXEC).
    let code = "int main(void) { return 0; }\n__asm__(\".section .interp,\\\"a\\\"\\n.fill 5000,1,0x41\\n.previous\");";
    for n in 0..3 {
        let seen = client.run("c", &format!("{code} // {n}"), None);
        assert_eq!((seen.state(), seen.output()), ("failed", "\nexit status 126"), "{}", server.log());
    }
    assert_eq!(client.get("/readyz").status, 200);
}

/// How many programs are compiled and executed; `CMTEST_PROGRAMS` sets another number.
const PROGRAMS: usize = 200;

/// A program is executed right after it was written, while others are written and processes are made for them: whoever held it
/// open for writing, in a process that was made at that moment, would let the kernel refuse it (execve(2): ETXTBSY).
fn what_was_just_written_can_be_executed(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("MAX_WORKERS", 8).limit(&["c"], "RUN", "CPU_PERCENT", 0));
    let client = server.client();
    let number = std::env::var("CMTEST_PROGRAMS").map_or(PROGRAMS, |number| number.parse().expect("a number"));
    let source = |n: usize| format!("#include <stdio.h>\nint main(void) {{ printf(\"{n}\\n\"); return 0; }}");
    let ids: Vec<_> = (0..number).map(|n| client.submit("c", &source(n), None)).collect();
    let deadline = Instant::now() + scale::patience(Duration::from_secs(60 + number as u64 / 4));
    for (n, id) in ids.iter().enumerate() {
        let seen = client.finish(id, deadline).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!((seen.state(), seen.output()), ("completed", &*format!("{n}\n")), "{}", server.log_of(id));
    }
}

under_both_runtimes!(
    compile_errors,
    compiles,
    time_out,
    output_cap,
    memory,
    what_cannot_be_executed,
    what_was_just_written_can_be_executed,
);
