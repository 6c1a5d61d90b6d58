//! Reads the source and fails when an arrow turns round: a room that uses a room above it, a file that has outgrown its
//! place, unsafe code outside `sys`, or a room other than `cli` that prints. The last test shows that it can fail.

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

/// The floors of the house from the top, as in `src/lib.rs`. Rooms of one floor may use each other; a room uses nothing
/// above its floor.
const FLOORS: [&[&str]; 6] = [
    &["cli"],
    &["doctor", "server"],
    &["http", "worker"],
    &["runtime", "service"],
    &["bundle", "compare", "host", "queue", "report", "store"],
    &["cgroup", "config", "health", "image", "language", "metrics", "model", "seccomp", "shutdown", "sys", "telemetry"],
];

/// Lines that a file may have without its tests.
const MOST_LINES: usize = 400;

const PRINTS: [&str; 5] = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Everything that is wrong with one file; `path` is relative to `src`.
fn problems(path: &str, source: &str) -> Vec<String> {
    let room = path.split('/').next().unwrap_or_default().trim_end_matches(".rs");
    // A file of its own for a room's tests holds nothing else.
    let own = if path.ends_with("/tests.rs") { "" } else { without_tests(source) };
    let code = bare(own);
    let mut wrong = Vec::new();
    // `lib.rs` names every room; `main.rs` makes one call.
    if !matches!(path, "lib.rs" | "main.rs") {
        let Some(here) = floor(room) else { return vec![format!("{path}: no floor is known for the room {room}")] };
        for used in rooms_used(&code) {
            match floor(&used) {
                Some(other) if other < here => wrong.push(format!("{path}: {room} uses {used}, which is above it")),
                _ => {}
            }
        }
    }
    let lines = own.lines().count();
    if lines > MOST_LINES {
        wrong.push(format!("{path}: {lines} lines without tests, {MOST_LINES} are allowed"));
    }
    if room != "sys" && words(&code).any(|word| word == "unsafe") {
        wrong.push(format!("{path}: unsafe code outside sys"));
    }
    for print in PRINTS.iter().filter(|print| room != "cli" && calls(&code, print)) {
        wrong.push(format!("{path}: {print} outside cli"));
    }
    if !source.starts_with("//!") {
        wrong.push(format!("{path}: does not begin by saying what it is"));
    }
    wrong
}

/// The source up to its tests, which come last.
fn without_tests(source: &str) -> &str {
    source.find("#[cfg(test)]\nmod ").map_or(source, |at| &source[..at])
}

/// The code without comments and without what is inside string literals.
fn bare(source: &str) -> String {
    let (mut out, mut rest) = (String::new(), source);
    while let Some(c) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if c == '"' {
            string(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("b'\"'") {
            3
        } else {
            out.push(c);
            c.len_utf8()
        };
        rest = &rest[skip..];
    }
    out
}

/// The length of a string literal, quotes included.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw string literal that begins here.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&end).map_or(text.len(), |at| 1 + hashes + 1 + at + end.len()))
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Whether this macro is called, and not one whose name only ends like it.
fn calls(code: &str, print: &str) -> bool {
    let begins = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    code.match_indices(print).any(|(at, _)| begins(at))
}

/// The rooms that `crate::room` and `use crate::{room::…, room}` name.
fn rooms_used(code: &str) -> Vec<String> {
    let squeezed: String =
        code.split_whitespace().collect::<Vec<_>>().join(" ").replace(":: ", "::").replace("{ ", "{");
    let name = |text: &str| words(text.trim_start()).next().unwrap_or_default().to_owned();
    let mut rooms = Vec::new();
    for (at, _) in squeezed.match_indices("crate::") {
        let rest = &squeezed[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            rooms.push(name(rest));
            continue;
        };
        let (mut depth, mut item) = (0, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => rooms.push(name(&std::mem::take(&mut item))),
                _ => {}
            }
            if depth == 0 && c != ',' {
                item.push(c);
            }
        }
        rooms.push(name(&item));
    }
    rooms.retain(|room| !room.is_empty());
    rooms
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory of the source").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_arrow_points_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for path in sources(&src) {
        let name = path.strip_prefix(&src).expect("below src").display().to_string();
        wrong.extend(problems(&name, &fs::read_to_string(&path).expect("source")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_has_a_floor() {
    let lib = include_str!("../src/lib.rs");
    let rooms = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")).map(|room| room.trim_end_matches(';'));
    let listed: Vec<_> = rooms.collect();
    assert!(listed.len() > 10, "the rooms of src/lib.rs were not read: {listed:?}");
    for room in &listed {
        assert!(floor(room).is_some(), "{room} has no floor");
    }
    for room in FLOORS.concat() {
        assert!(listed.contains(&room), "{room} is not in src/lib.rs");
    }
}

#[test]
fn fabricated_mistakes_are_found() {
    let rows: [(&str, &str, &str); 15] = [
        ("model.rs", "//! x\nuse crate::http::routes;\n", "model uses http"),
        ("model/job.rs", "//! x\nfn f() { crate::store::open(); }\n", "model uses store"),
        ("queue.rs", "//! x\nuse crate::{model::JobId, service::{Ledger, admit}};\n", "queue uses service"),
        ("queue.rs", "//! x\nuse crate::{\n    worker,\n    model,\n};\n", "queue uses worker"),
        ("queue.rs", "//! x\nuse crate::{model::{A, B}, cli};\n", "queue uses cli"),
        ("server.rs", "//! x\npub use crate::cli::main;\n", "server uses cli"),
        ("cellar.rs", "//! x\n", "no floor is known"),
        ("model.rs", "use std::fmt;\n", "what it is"),
        ("image/build/tests.rs", "use super::*;\n", "what it is"),
        ("host.rs", "//! x\nfn f() { unsafe { g() } }\n", "unsafe code"),
        ("host.rs", "//! x\nfn f() { println!(\"x\"); }\n", "println! outside cli"),
        ("server.rs", "//! x\nfn f() { std::eprint!(\"x\"); }\n", "eprint! outside cli"),
        ("http.rs", "//! x\nfn f() { let q = '\"'; dbg!(q); }\n", "dbg! outside cli"),
        ("http.rs", "//! x\nfn f() { let s = r#\"a\"b\"#; unsafe { g(s) } }\n", "unsafe code"),
        ("config.rs", &format!("//! x\n{}", "const X: u8 = 1;\n".repeat(400)), "401 lines"),
    ];
    for (path, source, word) in rows {
        let found = problems(path, source);
        assert!(found.iter().any(|problem| problem.contains(word)), "{word:?} not among {found:?} for\n{source}");
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    let tests =
        format!("#[cfg(test)]\nmod tests {{\n    use crate::http;\n{}}}\n", "    fn f() { println!() }\n".repeat(500));
    let rows: [(&str, &str); 9] = [
        ("http.rs", "//! x\nuse crate::service::Ledger;\nuse crate::model;\n"),
        ("http.rs", "//! x\nuse crate::worker::Pool;\n"),
        ("sys/mount.rs", "//! x\nfn f() { unsafe { g() } }\n"),
        ("image/build/tests.rs", "//! x\nuse crate::http;\nfn f() { eprintln!(\"x\"); }\n"),
        ("cli/run.rs", "//! x\nfn f() { println!(\"x\"); }\n"),
        (
            "model.rs",
            "//! x\n// use crate::http; unsafe println!()\n/* crate::cli::main */\nconst S: &str = \"unsafe crate::cli \\\" println!\";\n",
        ),
        ("model.rs", "//! x\nfn f() { writeln!(g, \"x\"); my_println!(\"x\"); let not_unsafe = 1; }\n"),
        ("main.rs", "//! x\nfn main() { casemate::cli::main() }\n"),
        ("model.rs", &format!("//! x\n{tests}")),
    ];
    for (path, source) in rows {
        assert_eq!(problems(path, source), Vec::<String>::new(), "for\n{source}");
    }
}
