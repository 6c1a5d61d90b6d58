//! Every request that is not accepted, with its exact words, and those that look wrong and are accepted all the same.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::client::Reply;
use crate::support::client::read_reply;
use crate::support::{Client, Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

/// What is wrong with a refusal: its status, its form as one line of plain text, or its words.
fn problems(what: &str, reply: &Reply, status: u16, start: &str, within: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let text = reply.text();
    if reply.status != status {
        wrong.push(format!("{what}: {} instead of {status}: {text:?}", reply.status));
    }
    for (name, value) in [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")] {
        if reply.header(name) != Some(value) {
            wrong.push(format!("{what}: {name} is {:?}", reply.header(name)));
        }
    }
    if !text.ends_with('\n') || text.lines().count() != 1 || text.ends_with("\r\n") {
        wrong.push(format!("{what}: not one line ending in a line feed: {text:?}"));
    }
    if !text.starts_with(start) || !text.contains(within) {
        wrong.push(format!("{what}: wanted {start:?} … {within:?}, got {text:?}"));
    }
    wrong
}

fn refused_bodies(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime));
    let client = server.client();
    let deep = format!("{{\"code\": {}", "[".repeat(100_000));
    let rows: [(&str, &str, &str); 27] = [
        (r#"{"code": "x", "language": "ruby"}"#, "Unsupported language: ruby\n", ""),
        (r#"{"code": "x", "language": "Python"}"#, "Unsupported language: Python\n", ""),
        (r#"{"code": "x", "language": "c++"}"#, "Unsupported language: c++\n", ""),
        (r#"{"code": "x", "language": "py"}"#, "Unsupported language: py\n", ""),
        (r#"{"code": "x", "language": "python "}"#, "Unsupported language: python \n", ""),
        (r#"{"code": "x", "language": "../python"}"#, "Unsupported language: ../python\n", ""),
        (r#"{"language": "python"}"#, "Code is required\n", ""),
        (r#"{"language": "python", "code": ""}"#, "Code is required\n", ""),
        (r#"{"language": "python", "code": null}"#, "Code is required\n", ""),
        (r"{}", "Code is required\n", ""),
        (r#"{"code": 5}"#, "Invalid request body: ", "code"),
        (r#"{"code": ["x"]}"#, "Invalid request body: ", "code"),
        (r#"{"code": {"x": 1}}"#, "Invalid request body: ", "code"),
        (r#"{"code": true}"#, "Invalid request body: ", "code"),
        (r#"{"code": "x", "language": 5}"#, "Invalid request body: ", "language"),
        (r#"{"code": "x", "language": ["c"]}"#, "Invalid request body: ", "language"),
        (r#"{"code": "x", "input": 5}"#, "Invalid request body: ", "input"),
        (r#"{"code": "x", "input": {}}"#, "Invalid request body: ", "input"),
        ("[]", "Invalid request body: ", ""),
        ("[1, 2]", "Invalid request body: ", ""),
        (r#""print(1)""#, "Invalid request body: ", ""),
        ("null", "Invalid request body: ", ""),
        ("7", "Invalid request body: ", ""),
        ("", "Invalid request body: ", ""),
        (r#"{"code": "pri"#, "Invalid request body: ", ""),
        ("code=print(1)", "Invalid request body: ", ""),
        (&deep, "Invalid request body: ", ""),
    ];
    let mut wrong = Vec::new();
    for (body, start, within) in rows {
        let reply = client.post("/submit", body.as_bytes());
        wrong.extend(problems(&body[..body.len().min(60)], &reply, 400, start, within));
    }
    let bad_utf8 = client.post("/submit", b"{\"code\": \"\xff\xfe");
    wrong.extend(problems("bytes that are not UTF-8, cut short", &bad_utf8, 400, "Invalid request body: ", ""));
    let [_, _, _, submissions] = client.stats();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(submissions, 0, "refused submissions were counted");
}

fn accepted_bodies(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let deadline = Instant::now() + Duration::from_secs(60);
    let rows = [
        (json!({"code": "print(1)"}), "1\n"),
        (json!({"code": "print(1)", "language": ""}), "1\n"),
        (json!({"code": "print(1)", "language": null}), "1\n"),
        (json!({"code": "print(1)", "input": null}), "1\n"),
        (json!({"code": "print(1)", "input": ""}), "1\n"),
        (json!({"code": " "}), ""),
        (json!({"code": "\n\n"}), ""),
        (json!({"code": "print(1)", "compiler": {"flags": [1, 2]}, "x": null}), "1\n"),
        (
            json!({
                "code": "print(1)", "id": "6423259c-ee14-c5aa-1c90-d5e989f92aa1", "status": "failed", "output": "forged",
                "queuedAt": "yesterday", "startedAt": 7, "completedAt": [], "executionTime": "long",
            }),
            "1\n",
        ),
    ];
    let mut wrong = Vec::new();
    for kind in ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense", ""] {
        for (body, output) in &rows {
            let headers = [("Content-Type", kind)];
            let headers = if kind.is_empty() { &[][..] } else { &headers[..] };
            let reply = client.send("POST", "/submit", headers, body.to_string().as_bytes()).expect("a reply");
            if reply.status != 202 {
                wrong.push(format!("{kind} {body}: {} {:?}", reply.status, reply.text()));
                continue;
            }
            let id = reply.json()["id"].as_str().unwrap_or_default().to_owned();
            if kind == "application/json" {
                let seen = client.finish(&id, deadline).expect("an end");
                if id.starts_with("6423259c") || seen.output() != *output || seen.result["language"] != "python" {
                    wrong.push(format!("{body}: {}", seen.result));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn the_default_language_is_a_setting(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("DEFAULT_LANGUAGE", "c"));
    let client = server.client();
    let reply = client.post("/submit", br#"{"code": "int puts(const char *); int main(void) { puts(\"c\"); }"}"#);
    let id = reply.json()["id"].as_str().expect("an id").to_owned();
    let seen = client.finish(&id, Instant::now() + Duration::from_secs(30)).expect("an end");
    assert_eq!((seen.output(), &seen.result["language"]), ("c\n", &json!("c")));
}

fn ids(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let unknown = "6423259c-ee14-c5aa-1c90-d5e989f92aa1";
    let long = "a".repeat(4000);
    let mut wrong = Vec::new();
    for path in ["/status", "/result"] {
        for query in ["", "?", "?id=", "?id", "?other=1", "?ID=1"] {
            let target = format!("{path}{query}");
            wrong.extend(problems(&target, &client.get(&target), 400, "ID is required\n", ""));
        }
        for id in [unknown, "nobody", "0", "..%2F..%2Fetc%2Fpasswd", "%00", "%F0%9F%98%80", "a%20b", &long] {
            let target = format!("{path}?id={id}");
            wrong.extend(problems(&target, &client.get(&target), 404, "Submission not found\n", ""));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A valid submission of exactly `size` bytes.
fn of_size(size: usize) -> Vec<u8> {
    let frame = json!({"code": "print(1)", "input": ""}).to_string().len();
    json!({"code": "print(1)", "input": "x".repeat(size - frame)}).to_string().into_bytes()
}

fn bodies_over_the_limit(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    assert_eq!(client.post("/submit", &of_size(4 << 20)).status, 202, "exactly the default limit");
    let mut wrong = problems("4 MiB + 1", &client.post("/submit", &of_size((4 << 20) + 1)), 413, "", "");
    let announced = b"POST /submit HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    wrong.extend(problems("announced, not sent", &client.exact(announced).expect("a reply"), 413, "", ""));

    let server = Server::start(&Settings::new(runtime).set("CASEMATE_HTTP__BODY_BYTES", 1000));
    let client = server.client();
    assert_eq!(client.post("/submit", &of_size(1000)).status, 202, "exactly the limit that was set");
    wrong.extend(problems("limit + 1", &client.post("/submit", &of_size(1001)), 413, "", ""));
    for (size, status) in [(1000, 202), (1001, 413)] {
        let reply = client.exact(&chunked(&of_size(size), 300)).expect("a reply");
        assert_eq!(reply.status, status, "{size} bytes in chunks: {}", reply.text());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut request = b"POST /submit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(size) {
        request.extend(format!("{:x}\r\n", chunk.len()).bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    request
}

fn a_body_that_stalls(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_HTTP__BODY_MS", 300));
    let began = Instant::now();
    let mut stream = server.client().connect().expect("a connection");
    stream.write_all(b"POST /submit HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{\"code\":").expect("a request");
    let reply = read_reply(&mut stream, began).expect("a reply");
    let wrong = problems("half a body", &reply, 408, "", "");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(began.elapsed() >= Duration::from_millis(300), "answered after {:?}", began.elapsed());
    assert_eq!(server.client().stats()[3], 0, "half a body was counted");
}

/// Submits until refused; the ids that were accepted and the refusal.
fn fill(client: Client, code: &str, most: usize) -> (Vec<String>, Option<Reply>) {
    let body = crate::support::submission::body("python", code, None);
    let mut accepted = Vec::new();
    for _ in 0..most {
        let reply = client.post("/submit", &body);
        if reply.status != 202 {
            return (accepted, Some(reply));
        }
        accepted.push(reply.json()["id"].as_str().expect("an id").to_owned());
    }
    (accepted, None)
}

fn more_than_may_wait(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("MAX_WORKERS", 1).set("QUEUE_SIZE", 1).set("CASEMATE_MAX_PENDING", 3);
    let server = Server::start(&settings);
    let client = server.client();
    let deadline = Instant::now() + Duration::from_secs(60);
    let (accepted, refused) = fill(client, "import time; time.sleep(1)", 20);
    let refused = refused.expect("one too many");
    let mut wrong = problems("one too many", &refused, 503, "Queue is full\n", "");
    let retry = refused.header("Retry-After").and_then(|value| value.parse::<u64>().ok());
    if retry.is_none_or(|seconds| seconds == 0) {
        wrong.push(format!("Retry-After is {:?}", refused.header("Retry-After")));
    }
    // Three may wait; one may have been taken by the worker and one by the bounded queue in the meantime.
    if !(3..=5).contains(&accepted.len()) {
        wrong.push(format!("{} were accepted", accepted.len()));
    }
    let counted = client.stats()[3];
    if counted != accepted.len() as u64 {
        wrong.push(format!("{counted} counted, {} accepted", accepted.len()));
    }
    for id in &accepted {
        let seen = client.finish(id, deadline).expect("an end");
        if seen.state() != "completed" {
            wrong.push(format!("{}", seen.result));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(client.run("python", "print('room again')", None).output(), "room again\n");
}

/// A page whose own name leads here, and everybody else; where the operator has named names, those. The service itself, as it is started.
fn requests_for_another_name(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let asked = |client: &Client, host: &str| {
        let request = format!("GET /queue-stats HTTP/1.1\r\nHost: {host}\r\n\r\n");
        client.exact(request.as_bytes()).expect("a reply")
    };
    let client = Server::shared(runtime).client();
    let mut wrong = problems("a name", &asked(&client, "evil.example"), 421, "evil.example is no name", "this service");
    let named = Server::start(&Settings::new(runtime).set("CASEMATE_HTTP__HOSTS", "judge.example"));
    for (client, host, status) in [
        (&client, "localhost:8080", 200),
        (&client, "127.0.0.1", 200),
        (&client, "casemate", 200),
        (&client, "judge.example", 421),
        (&named.client(), "judge.example", 200),
        (&named.client(), "evil.example", 421),
    ] {
        let reply = asked(client, host);
        if reply.status != status {
            wrong.push(format!("{host}: {} instead of {status}", reply.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

under_both_runtimes!(
    requests_for_another_name,
    refused_bodies,
    accepted_bodies,
    the_default_language_is_a_setting,
    ids,
    bodies_over_the_limit,
    a_body_that_stalls,
    more_than_may_wait,
);
