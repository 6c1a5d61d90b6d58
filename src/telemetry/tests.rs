//! Lines of both forms, read back.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tracing::Instrument as _;

use super::*;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines_of(json: bool, log: impl FnOnce()) -> String {
    let sink = Sink::default();
    let writer = sink.clone();
    let lines = Lines::new(json, move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(LevelFilter::INFO).with(lines), log);
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn line_of(log: impl FnOnce()) -> String {
    lines_of(false, log)
}

/// The objects, without their times.
fn objects_of(log: impl FnOnce()) -> Vec<Value> {
    let lines = lines_of(true, log);
    let object = |line: &str| {
        let mut object: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let time = object.as_object_mut().unwrap().remove("time").unwrap();
        assert_eq!(time.as_str().map(str::len), Some(24), "{line}");
        object
    };
    lines.lines().map(object).collect()
}

fn id() -> JobId {
    "6423259c-ee14-45aa-9c90-d5e989f92aa1".parse().unwrap()
}

fn tags() -> [(Tag<'static>, &'static str, Value); 8] {
    let id = id();
    let with = |kind: &str| json!({"kind": kind, "id": id.to_string()});
    [
        (Tag::Http, "[HTTP]", json!({"kind": "http"})),
        (Tag::Queue, "[QUEUE]", json!({"kind": "queue"})),
        (Tag::Audit, "[AUDIT]", json!({"kind": "audit"})),
        (Tag::Worker(1), "[WORKER-1]", json!({"kind": "worker", "worker": 1})),
        (Tag::Exec(id), "[EXEC-6423259c-ee14-45aa-9c90-d5e989f92aa1]", with("exec")),
        (
            Tag::Language("Cpp-17", id),
            "[CPP-17-6423259c-ee14-45aa-9c90-d5e989f92aa1]",
            json!({"kind": "language", "id": id.to_string(), "language": "Cpp-17"}),
        ),
        (Tag::Timeout(id), "[TIMEOUT-6423259c-ee14-45aa-9c90-d5e989f92aa1]", with("timeout")),
        (Tag::Result(id), "[RESULT-6423259c-ee14-45aa-9c90-d5e989f92aa1]", with("result")),
    ]
}

#[test]
fn a_line_has_time_level_prefix_and_message() {
    let line = line_of(|| tracing::info!(tag = %Tag::Http, bytes = 3, "POST /submit 202 0.4ms"));
    let (time, rest) = line.split_at(24);
    assert_eq!(rest, " INFO [HTTP] POST /submit 202 0.4ms bytes=3\n");
    assert!(time.ends_with('Z') && time.as_bytes()[10] == b'T' && time.as_bytes()[19] == b'.', "{time}");
}

#[test]
fn the_prefixes_of_the_contract_and_their_parts() {
    for (tag, prefix, mut parts) in tags() {
        assert_eq!(tag.to_string(), prefix);
        let seen = objects_of(|| tracing::warn!(%tag, "it is {}", 5));
        let own = json!({"level": "WARN", "prefix": prefix, "message": "it is 5"});
        parts.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        assert_eq!(seen, [parts]);
    }
}

#[test]
fn fields_keep_their_kinds() {
    let error = io::Error::other("broken");
    let log = || {
        let source = &error as &dyn std::error::Error;
        tracing::error!(bytes = 3_u64, below = -1, share = 0.5, full = true, word = "a \"b\"", error = source, "it");
    };
    let (bytes, below, share, full, word, error) = (3, -1, 0.5, true, "a \"b\"", "broken");
    let wanted = json!({
        "level": "ERROR", "kind": "service", "message": "it",
        "bytes": bytes, "below": below, "share": share, "full": full, "word": word, "error": error,
    });
    assert_eq!(objects_of(log), [wanted]);
    let line = line_of(log);
    assert!(line.ends_with(" ERROR it bytes=3 below=-1 share=0.5 full=true word=a \"b\" error=broken\n"), "{line}");
}

#[test]
fn what_is_done_for_a_job_is_found_by_its_id() {
    let owner = Owner::named("judge");
    let log = || {
        let span = job(id(), "python", owner.as_ref());
        span.in_scope(|| {
            tracing::error!("a cgroup stays behind");
            tracing::info!(tag = %Tag::Exec(id()), "two steps");
            tracing::info!(tag = %Tag::Worker(2), "python takes {}", id());
        });
        tracing::info!("of nobody's");
        // Another thread, as the runtime has them for what may take long.
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let far = span.in_scope(|| carried(|| tracing::warn!("far away")));
        std::thread::scope(|scope| {
            scope.spawn(move || tracing::dispatcher::with_default(&dispatch, far));
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { tracing::warn!("in a task") }.instrument(span));
    };
    let (id, prefix) = (id().to_string(), "[EXEC-6423259c-ee14-45aa-9c90-d5e989f92aa1]");
    let of_job = |level: &str, kind: &str, message: &str| json!({"level": level, "kind": kind, "message": message, "id": id, "language": "python", "owner": "judge"});
    let mut wanted = vec![
        of_job("ERROR", "service", "a cgroup stays behind"),
        of_job("INFO", "exec", "two steps"),
        of_job("INFO", "worker", &format!("python takes {id}")),
        json!({"level": "INFO", "kind": "service", "message": "of nobody's"}),
        of_job("WARN", "service", "far away"),
        of_job("WARN", "service", "in a task"),
    ];
    wanted[1]["prefix"] = prefix.into();
    (wanted[2]["prefix"], wanted[2]["worker"]) = ("[WORKER-2]".into(), 2.into());
    assert_eq!(objects_of(log), wanted);

    let text = line_of(log);
    let ends: Vec<&str> = text.lines().map(|line| &line[25..]).collect();
    let at_end = |words: &str| format!("{words} id={id}");
    let wanted = [
        at_end("ERROR a cgroup stays behind"),
        format!("INFO {prefix} two steps"),
        format!("INFO [WORKER-2] python takes {id}"),
        "INFO of nobody's".to_owned(),
        at_end("WARN far away"),
        at_end("WARN in a task"),
    ];
    assert_eq!(ends, wanted);
}

/// What misleads a terminal, breaks a line or ends a text of JSON, in every place that a client may reach.
#[test]
fn nothing_forges_a_line() {
    let line = line_of(|| tracing::info!(tag = %Tag::Http, "GET /\r\n2026 INFO [HTTP] \x1b[2J\u{202e}"));
    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.ends_with("GET /\\r\\n2026 INFO [HTTP] \\u{1b}[2J\\u{202e}\n"), "{line}");

    let every: String = (0..=0x9f)
        .chain([0x200e, 0x2028, 0x2029, 0x202e, 0x2066, 0xfffd, 0x1f600])
        .filter_map(char::from_u32)
        .collect();
    for hostile in [every.as_str(), "\",\"level\":\"ERROR\"}\n{\"time\":\"", "\\", "\"", "\\\"", "\u{0}"] {
        let log = || {
            tracing::info!(tag = %Tag::Language(hostile, id()), word = hostile, shown = %hostile, "{hostile}");
            job(id(), hostile, None).in_scope(|| tracing::info!("{hostile}"));
        };
        let lines = lines_of(true, log);
        assert_eq!(lines.lines().count(), 2, "{lines}");
        assert!(!lines.chars().any(|c| c != '\n' && misleads(c)), "{lines:?}");
        for object in objects_of(log) {
            assert_eq!(
                (&object["level"], &object["message"], &object["language"]),
                (&json!("INFO"), &json!(hostile), &json!(hostile))
            );
        }
        assert_eq!(objects_of(log)[0]["shown"], hostile);
        assert_eq!(line_of(log).matches('\n').count(), 2);
    }
}
