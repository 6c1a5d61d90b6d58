//! The log of the real service as JSON: every line is an object, all that is done for a job is found by its id, and nothing of
//! a client's is in it; as text it is what it was.

use serde_json::{Value, json};

use super::tokens::{Tokens, send};
use crate::support::{Runtime, Server, Settings, scale};
use crate::{needs, support::Need, under_both_runtimes};

/// In a program, its input and its output: none of it may be in the log.
const SECRET: &str = "fc3f19a9c2";

fn objects(log: &str) -> Vec<Value> {
    let object = |line: &str| {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for (name, kind) in [("time", "2"), ("level", ""), ("kind", ""), ("message", "")] {
            assert!(object[name].as_str().is_some_and(|text| text.starts_with(kind)), "{name}: {line}");
        }
        object
    };
    log.lines().map(object).collect()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_default()
}

/// What a step says of its container: a layer that knows of no job.
fn deep(message: &str) -> bool {
    let digits = message.strip_prefix('c').and_then(|rest| rest.split_once(": "));
    digits.is_some_and(|(number, what)| number.bytes().all(|b| b.is_ascii_digit()) && what.starts_with("ran "))
}

fn every_line_is_an_object_and_a_job_is_found_by_its_id(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let tokens = Tokens::new(&[("judge", "")]);
    let settings = tokens.settings(runtime).set("CASEMATE_LOG", "trace").set("CASEMATE_LOG_FORMAT", "json");
    let mut server = Server::start(&settings);
    let submit = |body: Value| {
        let reply = send(server.client(), &tokens.texts[0], "POST", "/v1/submissions?wait=50", &body);
        assert_eq!(reply.status, 201, "{}", reply.text());
        (reply.json()["id"].as_str().expect("an id").to_owned(), text(&reply.json(), "verdict").to_owned())
    };
    let python = format!("print(input())\n# {SECRET} \\\" \u{202e}");
    let (python, _) = submit(json!({"language": "python", "source": python, "stdin": SECRET, "args": [SECRET]}));
    let hog = format!(
        "#include <stdlib.h>\n#include <string.h>\n// {SECRET}\nint main(void) {{ memset(malloc(200 << 20), 1, 200 << 20); }}"
    );
    let limits = json!({"run": {"memory_bytes": 20 << 20, "wall_ms": scale::limit("WALL_MS", 30_000)}});
    let (hog, verdict) = submit(json!({"language": "c", "source": hog, "limits": limits, "diagnose": true}));
    assert_eq!(verdict, "memory_limit");
    // A target that would forge a line where it were written as it is.
    send(server.client(), &tokens.texts[0], "GET", "/v1/submissions/x%0a%7b%22level%22:%22ERROR%22%7d", &Value::Null);
    assert!(server.stop().is_some_and(|status| status.success()), "{}", server.log());
    let log = server.log();
    let all = objects(&log);
    assert!(!log.contains(SECRET) && !log.contains(&tokens.texts[0]), "of a client's");
    let greeting =
        all.iter().find(|object| text(object, "message").starts_with("listening on http://")).expect("a greeting");
    assert_eq!(
        (&greeting["kind"], &greeting["prefix"], &greeting["level"]),
        (&json!("http"), &json!("[HTTP]"), &json!("INFO"))
    );

    for (id, language, kinds) in [
        (&python, "python", &["audit", "exec", "language", "queue", "result", "service", "worker"][..]),
        (&hog, "c", &["audit", "exec", "language", "queue", "result", "service", "worker"]),
    ] {
        let own: Vec<&Value> = all.iter().filter(|object| object["id"] == id.as_str()).collect();
        let mut seen: Vec<&str> = own.iter().map(|object| text(object, "kind")).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, kinds, "{own:#?}");
        for object in &own {
            assert_eq!((text(object, "language"), text(object, "owner")), (language, "judge"), "{object}");
        }
        assert!(own.iter().any(|object| object["kind"] == "service" && deep(text(object, "message"))), "{own:#?}");
        assert!(own.iter().any(|object| object["kind"] == "worker" && object["worker"].is_u64()), "{own:#?}");
        // No line that is about it lacks its id, but for requests, whose targets have it.
        for object in all.iter().filter(|object| object.to_string().contains(id.as_str())) {
            assert!(object["id"] == id.as_str() || object["kind"] == "http", "{object}");
        }
    }
    let audit: Vec<&str> = all
        .iter()
        .filter(|object| object["id"] == hog.as_str() && object["kind"] == "audit")
        .map(|object| text(object, "message"))
        .collect();
    assert!(audit.len() == 2 && audit[0].starts_with(&format!("{hog} by judge program sha256:")), "{audit:?}");
    let (words, fired) = audit[1].split_once(", limits that fired: ").expect("limits");
    assert_eq!(words, format!("{hog} by judge ended: memory_limit"));
    assert!(fired.split(", ").any(|one| one == "memory_bytes (1 step)"), "{fired}");
    // What ran for nobody, the containers that are made ahead, is nobody's.
    assert!(
        all.iter().any(|object| text(object, "message").contains(": prepared ") && object["id"].is_null()),
        "{log}"
    );
}

/// Both forms have the same lines; a container's own line is found by the job's id in text as well.
fn text_is_what_it_was(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let mut server = Server::start(&Settings::new(runtime).set("CASEMATE_LOG", "debug"));
    let seen = server.client().run("python", "print(1)", None);
    let id = text(&seen.result, "id").to_owned();
    assert!(server.stop().is_some_and(|status| status.success()), "{}", server.log());
    let log = server.log();
    let lines: Vec<&str> = log.lines().map(|line| line.split_once(' ').expect("a time").1).collect();
    for wanted in [
        format!("INFO [AUDIT] {id} by nobody program sha256:"),
        format!("INFO [QUEUE] {id} queued python"),
        format!("INFO [EXEC-{id}] python: steps to carry out, each in a container: 1"),
        format!("INFO [PYTHON-{id}] run: Ok, wall "),
        format!("INFO [RESULT-{id}] completed"),
        format!("INFO [AUDIT] {id} by nobody ended: accepted, limits that fired: "),
    ] {
        assert!(lines.iter().any(|line| line.starts_with(&wanted)), "{wanted}: {log}");
    }
    let worker = |line: &&&str| line.starts_with("INFO [WORKER-") && line.ends_with(&format!("python takes {id}"));
    assert_eq!(lines.iter().filter(worker).count(), 1, "{log}");
    let container =
        |line: &&&str| line.strip_prefix("DEBUG ").is_some_and(deep) && line.ends_with(&format!(" id={id}"));
    assert_eq!(lines.iter().filter(container).count(), 1, "{log}");
    // Where the id is in a line already it is not said again.
    assert!(lines.iter().all(|line| line.matches(&id).count() <= 1), "{log}");
}

/// Gives the command a terminal, passes on what it writes there, SIGTERM, and how it ended.
const TERMINAL: &str = "\
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
while True:
    # Once nobody has the other end the kernel says EIO.
    try: written = os.read(terminal, 65536)
    except OSError: break
    if not written: break
    os.write(1, written)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

/// A terminal is for people; what goes into a file or a pipe is not.
fn auto_looks_where_the_log_goes(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Python);
    let settings = Settings::new(runtime).set("CASEMATE_LOG_FORMAT", "auto");
    let server = Server::start(&settings);
    assert!(!objects(&server.log()).is_empty());
    drop(server);
    let mut server = Server::start(&settings.behind(&["/usr/bin/python3", "-c", TERMINAL]));
    assert!(server.log().contains("INFO [HTTP] listening on http://"), "{}", server.log());
    // Nothing of it stays behind the terminal.
    assert!(server.stop().is_some_and(|status| status.success()), "{}", server.log());
}

under_both_runtimes!(
    every_line_is_an_object_and_a_job_is_found_by_its_id,
    text_is_what_it_was,
    auto_looks_where_the_log_goes,
);
