//! Every field of a submission, by the description that the service gives of itself: one value that it takes, and where that
//! is in the job; and one that it refuses, with the field's own path. A field that is new and not here fails the test.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::v1::problem;
use super::wire::{Reply, Service, service};

/// A field, a value that it takes with what has to stand beside it, the place and the form of that in the job, and a value
/// that it refuses with the kind of the problem.
struct Row {
    field: &'static str,
    beside: Value,
    good: Value,
    at: &'static str,
    is: Value,
    bad: Value,
    kind: &'static str,
}

fn row(field: &'static str, good: Value, at: &'static str, is: Value, (bad, kind): (Value, &'static str)) -> Row {
    Row { field, beside: json!({}), good, at, is, bad, kind }
}

impl Row {
    fn beside(self, beside: Value) -> Self {
        Self { beside, ..self }
    }
}

const MALFORMED: &str = "malformed_request";
const BAD: &str = "bad_value";

fn rows() -> Vec<Row> {
    let bytes = |text: &str| json!(text.as_bytes());
    let files = json!({"source": null, "files": {"a.cc": "x", "b.h": "y"}, "entry": "a.cc"});
    let expected = json!({"expected": "1"});
    let checker = |more: Value| {
        let mut checker = json!({"language": "c", "source": "x"});
        checker.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"compare": {"checker": checker}})
    };
    let own_files = checker(json!({"source": null, "files": {"a.c": "x", "b.h": "y"}, "entry": "a.c"}));
    let tested = json!({"tests": [{"expected": "1"}]});
    vec![
        row("language", json!("c"), "/language", json!("c"), (json!("ruby"), BAD)),
        row("source", json!("int x;"), "/source", json!("int x;"), (json!(""), BAD)),
        row("files", json!({"a.cc": "x", "b.h": "y"}), "/project/files/0/path", json!("b.h"), (json!({}), BAD))
            .beside(files.clone()),
        row("entry", json!("a.cc"), "/project/entry", json!("a.cc"), (json!("c.cc"), BAD)).beside(files),
        row("stdin", json!("in"), "/runs/0/stdin", bytes("in"), (json!(7), MALFORMED)),
        row("args", json!(["-v"]), "/invocation/args", json!(["-v"]), (json!("-v"), MALFORMED)),
        row("env", json!({"A": "1"}), "/invocation/env", json!([["A", "1"]]), (json!([]), MALFORMED)),
        row("streams", json!("merged"), "/streams", json!("merged"), (json!("both"), MALFORMED)),
        row("expected", json!("1"), "/runs/0/test/expected/bytes", bytes("1"), (json!(1), MALFORMED)),
        row("compare", json!("exact"), "/runs/0/test/expected/compare", json!("exact"), (json!("words"), MALFORMED))
            .beside(expected.clone()),
        row(
            "compare.floats.absolute",
            json!(0.5),
            "/runs/0/test/expected/compare/floats/absolute",
            json!(0.5),
            (json!(-1), BAD),
        )
        .beside(expected.clone()),
        row(
            "compare.floats.relative",
            json!(0.25),
            "/runs/0/test/expected/compare/floats/relative",
            json!(0.25),
            (json!("1"), MALFORMED),
        )
        .beside(expected),
        row("compare.checker.language", json!("python"), "/checker/language", json!("python"), (json!("ruby"), BAD))
            .beside(checker(json!({}))),
        row("compare.checker.source", json!("y"), "/checker/source", json!("y"), (json!(""), BAD))
            .beside(checker(json!({}))),
        row(
            "compare.checker.files",
            json!({"a.c": "x", "b.h": "y"}),
            "/checker/project/files/0/path",
            json!("b.h"),
            (json!({}), BAD),
        )
        .beside(own_files.clone()),
        row("compare.checker.entry", json!("a.c"), "/checker/project/entry", json!("a.c"), (json!("c.c"), BAD))
            .beside(own_files),
        row("tests", json!([{}, {}]), "/runs/1/stdin", json!([]), (json!([]), BAD)),
        row("stop_on_failure", json!(true), "/several/stop_on_failure", json!(true), (json!(1), MALFORMED))
            .beside(json!({"tests": [{}]})),
        row("diagnose", json!(true), "/watched", json!("refused"), (json!(1), MALFORMED)),
        row("collect", json!(["a/b"]), "/collect", json!(["a/b"]), (json!("a"), MALFORMED)),
        row("tests[0].name", json!("n"), "/runs/0/test/name", json!("n"), (json!("x".repeat(257)), BAD)),
        row("tests[0].stdin", json!("in"), "/runs/0/stdin", bytes("in"), (json!([]), MALFORMED)),
        row("tests[0].args", json!(["-v"]), "/runs/0/test/args", json!(["-v"]), (json!({}), MALFORMED)),
        row("tests[0].expected", json!("1"), "/runs/0/test/expected/bytes", bytes("1"), (json!(1), MALFORMED)),
        row(
            "tests[0].compare",
            json!("tokens"),
            "/runs/0/test/expected/compare",
            json!("tokens"),
            (json!("words"), MALFORMED),
        )
        .beside(tested.clone()),
        row(
            "tests[0].compare.floats.absolute",
            json!(0.5),
            "/runs/0/test/expected/compare/floats/absolute",
            json!(0.5),
            (json!(-1), BAD),
        )
        .beside(tested.clone()),
        row(
            "tests[0].compare.floats.relative",
            json!(0.5),
            "/runs/0/test/expected/compare/floats/relative",
            json!(0.5),
            (json!(-1), BAD),
        )
        .beside(tested),
    ]
}

/// A limit by its name on the wire, a value for it, and what that is in a job.
const LIMITS: [(&str, u64, &str, u64); 9] = [
    ("wall_ms", 1234, "wall", 1234),
    ("cpu_ms", 321, "cpu_time", 321_000),
    ("cpu_percent", 7, "cpu_share", 7),
    ("memory_bytes", 32 << 20, "memory", 32 << 20),
    ("processes", 5, "pids", 5),
    ("open_files", 40, "open_files", 40),
    ("stack_bytes", 2 << 20, "stack", 2 << 20),
    ("file_bytes", 70_000, "file_size", 70_000),
    ("output_bytes", 5, "output", 5),
];

/// Where limits can be said, and where they are in a job.
const STEPS: [(&str, &str); 5] = [
    ("limits.compile", "/compile"),
    ("limits.run", "/runs/0/limits"),
    ("tests[0].limits", "/runs/0/limits"),
    ("compare.checker.limits.compile", "/checker/compile"),
    ("compare.checker.limits.run", "/checker/limits"),
];

/// Sets what stands at this path, with all that is above it.
fn set(body: &mut Value, path: &str, value: Value) {
    let mut at = body;
    for name in path.split('.') {
        if !at.is_object() {
            *at = json!({});
        }
        let (name, listed) = name.strip_suffix("[0]").map_or((name, false), |name| (name, true));
        at = at.as_object_mut().unwrap().entry(name).or_insert(Value::Null);
        if listed {
            if !at.is_array() {
                *at = json!([{}]);
            }
            at = &mut at[0];
        }
    }
    *at = value;
}

fn body(beside: &Value, path: &str, value: &Value) -> Value {
    let mut body = json!({"language": "cpp", "source": "x"});
    let more: Map<String, Value> = beside.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    if path.starts_with("compare.checker.") && body["compare"].is_null() {
        body["compare"] = json!({"checker": {"language": "cpp", "source": "x"}});
    }
    set(&mut body, path, value.clone());
    body
}

async fn submit(service: &Service, body: &Value) -> Reply {
    send(service, &body.to_string()).await
}

async fn send(service: &Service, body: &str) -> Reply {
    service.request("POST", "/v1/submissions", "", body.as_bytes()).await
}

/// The job of a submission that is accepted.
async fn job(service: &Service, body: &Value) -> Value {
    let reply = submit(service, body).await;
    assert_eq!(reply.status, 202, "{body}: {reply:?}");
    taken_job(service).await
}

async fn taken_job(service: &Service) -> Value {
    serde_json::to_value(service.ledger.take().await.unwrap().job).unwrap()
}

/// The paths of all fields that hold a value, in the description of a form.
fn described(document: &Value, schema: &Value, path: &str, all: &mut BTreeSet<String>) {
    if let Some(target) = schema["$ref"].as_str() {
        let target = &document[target.trim_start_matches("#/components/schemas/")];
        // Text or bytes: one value.
        let leaf = schema["$ref"] == "#/components/schemas/Content";
        if leaf {
            all.insert(path.to_owned());
        } else {
            described(document, target, path, all);
        }
        return;
    }
    for each in ["anyOf", "oneOf"].iter().filter_map(|each| schema[*each].as_array()).flatten() {
        if each["type"] != "null" {
            described(document, each, path, all);
        }
    }
    match (schema["properties"].as_object(), schema["items"].as_object()) {
        (Some(properties), _) => {
            for (name, schema) in properties {
                let dot = if path.is_empty() { "" } else { "." };
                described(document, schema, &format!("{path}{dot}{name}"), all);
            }
        }
        (None, Some(items)) if items.get("type").is_none_or(|kind| kind != "string") => {
            all.insert(path.to_owned());
            described(document, &schema["items"], &format!("{path}[0]"), all);
        }
        _ if schema["type"].is_string() || schema["type"].is_array() || schema["enum"].is_array() => {
            all.insert(path.to_owned());
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_field_is_taken_and_refused_by_its_name() {
    let service = service(&[]).await;
    let mut told = BTreeSet::new();
    for Row { field, beside, good, at, is, bad, kind } in rows() {
        told.insert(field.to_owned());
        let taken = body(&beside, field, &good);
        let job = job(&service, &taken).await;
        assert_eq!(job.pointer(at), Some(&is), "{field} at {at}: {job:#}");
        let refused = body(&beside, field, &bad);
        let status = if kind == MALFORMED { 400 } else { 422 };
        let document = problem(&submit(&service, &refused).await, status, kind);
        assert_eq!(document["field"], field, "{refused}: {document:#}");
    }
    for (step, at) in STEPS {
        for (name, value, inside, is) in LIMITS {
            let field = format!("{step}.{name}");
            let taken = body(&json!({}), &field, &json!(value));
            let job = job(&service, &taken).await;
            assert_eq!(job.pointer(&format!("{at}/{inside}")), Some(&json!(is)), "{field}: {job:#}");
            // As text: what reads JSON into numbers would round some of them.
            let marked = body(&json!({}), &field, &json!("NUMBER")).to_string();
            let with = |number: &str| marked.replace("\"NUMBER\"", number);
            for beyond in ["18446744073709551615", "18446744073709551616", "1e400", "-1", "0.5"] {
                let document = problem(&send(&service, &with(beyond)).await, 422, "out_of_range");
                let numbers = (document["least"].as_u64(), document["ceiling"].as_u64());
                assert!(numbers.0.zip(numbers.1).is_some_and(|(least, ceiling)| least < ceiling), "{document:#}");
                assert_eq!((&document["field"], &document["value"]), (&json!(field), &json!(beyond)));
                assert!(document["remedy"].as_str().unwrap().contains("whole number"), "{document:#}");
            }
            assert_eq!(send(&service, &with(&format!("{value}.0"))).await.status, 202);
            let mut same = taken_job(&service).await;
            same["id"] = job["id"].clone();
            assert_eq!(same, job, "{field}: {value}.0 is {value}");
            told.insert(field);
        }
    }
    let document: Value = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    let schemas = &document["components"]["schemas"];
    let mut known = BTreeSet::new();
    described(schemas, &schemas["Submission"], "", &mut known);
    // What a test cannot have, and is told so.
    known.retain(|path| !path.starts_with("tests[0].compare.checker."));
    assert_eq!(told, known);
}
