//! The wire contract over real TCP: the real HTTP room and ledger, with a worker made of the test.

// Helpers of a test may unwrap like the tests themselves: a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "http/batch.rs"]
mod batch;
#[path = "http/bounds.rs"]
mod bounds;
#[path = "http/decoder.rs"]
mod decoder;
#[path = "http/events.rs"]
mod events;
#[path = "http/fields.rs"]
mod fields;
#[path = "http/malformed.rs"]
mod malformed;
#[path = "http/odd.rs"]
mod odd;
#[path = "http/pages.rs"]
mod pages;
#[path = "http/problems.rs"]
mod problems;
#[path = "support/sse.rs"]
mod sse;
#[path = "http/v1.rs"]
mod v1;
#[path = "http/who.rs"]
mod who;
#[path = "http/wire.rs"]
mod wire;

use std::sync::Arc;

use casemate::model::Verdict;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use wire::{Reply, assert_cors, assert_problem, post, report, service};

#[tokio::test]
async fn methods_paths_and_cors() {
    let service = service(&[]).await;
    for (path, allow) in [
        ("/submit", "POST, OPTIONS"),
        ("/status", "GET, OPTIONS"),
        ("/result", "GET, OPTIONS"),
        ("/queue-stats", "GET, OPTIONS"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "BREW"] {
            if !allow.contains(method) {
                let reply = service.request(method, path, "", b"").await;
                assert_problem(&reply, 405, "Method not allowed\n");
                assert_eq!(reply.headers["allow"], allow);
            }
        }
        for headers in ["", "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n"] {
            let reply = service.request("OPTIONS", path, headers, b"").await;
            assert_eq!((reply.status, reply.body.as_str()), (200, ""));
            assert_cors(&reply);
        }
        let head = service.request("HEAD", path, "", b"").await;
        assert_eq!((head.status, head.body.as_str()), (405, ""));
    }
    for path in ["/page", "/submit/", "/Status", "/result/x", "//status", "/favicon.ico"] {
        assert_problem(&service.get(path).await, 404, "Not found\n");
    }
    for path in ["/healthz", "/readyz"] {
        let reply = service.get(path).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "ok"));
    }
}

/// At `/` is a page that may use nothing from elsewhere, unless it is turned off; then there is what was there before.
#[tokio::test]
async fn the_page() {
    let on = service(&[]).await;
    for (path, kind, within) in [
        ("/", "text/html; charset=utf-8", "<title>casemate</title>"),
        ("/?x=1", "text/html; charset=utf-8", "<title>casemate</title>"),
        ("/page/page.css", "text/css; charset=utf-8", "prefers-color-scheme"),
        ("/page/page.js", "text/javascript; charset=utf-8", "/v1/submissions"),
        ("/page/icon.svg", "image/svg+xml", "<svg"),
    ] {
        let reply = on.get(path).await;
        assert_eq!((reply.status, reply.headers["content-type"].as_str()), (200, kind), "{path}");
        assert!(reply.body.contains(within), "{path}");
        let policy = &reply.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        let head = on.request("HEAD", path, "", b"").await;
        assert_eq!(
            (head.status, head.body.as_str(), &head.headers["content-length"]),
            (200, "", &reply.headers["content-length"])
        );
    }
    assert_problem(&on.request("POST", "/", "", b"").await, 405, "Method not allowed\n");
    let off = service(&[("CASEMATE_HTTP__PAGE", "false")]).await;
    for path in ["/", "/page/page.css", "/page/page.js"] {
        assert_problem(&off.get(path).await, 404, "Not found\n");
    }
}

#[tokio::test]
async fn submissions_that_are_accepted() {
    let service = service(&[("DEFAULT_LANGUAGE", "java")]).await;
    let table = [
        (r#"{"language":"c","code":"x","input":"y"}"#, "c", "x", "y"),
        (r#"{"code":"x"}"#, "java", "x", ""),
        (r#"{"language":"","code":"x"}"#, "java", "x", ""),
        (r#"{"language":null,"code":"x","input":null}"#, "java", "x", ""),
        (r#"{"language":"cpp","code":" "}"#, "cpp", " ", ""),
        (r#"{"code":"x","id":"mine","status":7,"output":{},"extra":[1]}"#, "java", "x", ""),
        (r#"{"code":"\u0000\ud83d\ude00","input":"a\u0000\r\n"}"#, "java", "\0\u{1f600}", "a\0\r\n"),
    ];
    let mut ids = Vec::new();
    for (body, language, code, input) in table {
        let id = service.accepted(body).await;
        let job = service.ledger.take().await.unwrap().job;
        assert_eq!((job.id.to_string(), job.language.as_str(), job.source.as_str()), (id.clone(), language, code));
        assert_eq!(job.runs[0].stdin, input.as_bytes());
        let shape: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!((shape, id.to_lowercase()), (vec![8, 4, 4, 4, 12], id.clone()));
        ids.push(id);
    }
    let odd = service.request("POST", "/submit", "Content-Type: image/png\r\n", br#"{"code":"x"}"#).await;
    assert_eq!(odd.status, 202);
    assert_cors(&odd);
    let stats = service.get("/queue-stats").await;
    assert_cors(&stats);
    assert_eq!(
        stats.body,
        "{\"queue_stats\":{\"queue_length\":1,\"max_workers\":2,\"running_jobs\":7},\"submissions\":8}\n"
    );
}

#[tokio::test]
async fn submissions_that_are_refused() {
    let service = service(&[]).await;
    let long = format!(r#"{{"language":"{}","code":"x"}}"#, "a".repeat(5000));
    let long_reply = format!("Unsupported language: {}\n", "a".repeat(100));
    for (body, expected) in [
        (r#"{"language":"ruby","code":"x"}"#, "Unsupported language: ruby\n"),
        (r#"{"language":"Python","code":"x"}"#, "Unsupported language: Python\n"),
        (r#"{"language":"c++","code":"x"}"#, "Unsupported language: c++\n"),
        (r#"{"language":"a\nb","code":"x"}"#, "Unsupported language: a\\nb\n"),
        (&long, &long_reply),
        (r#"{"language":"c"}"#, "Code is required\n"),
        (r#"{"code":""}"#, "Code is required\n"),
        (r#"{"code":null}"#, "Code is required\n"),
        ("{}", "Code is required\n"),
        ("", "Invalid request body: it is empty\n"),
        ("hello", "Invalid request body: malformed JSON at line 1 column 1\n"),
        ("[]", "Invalid request body: it must be a JSON object, not an array\n"),
        (r#"{"code":7}"#, "Invalid request body: field \"code\" must be a string, not a number\n"),
        (r#"{"code":"x","input":[]}"#, "Invalid request body: field \"input\" must be a string, not an array\n"),
        (
            r#"{"language":true,"code":"x"}"#,
            "Invalid request body: field \"language\" must be a string, not a boolean\n",
        ),
        (r#"{"code":"x"#, "Invalid request body: the JSON ends too early in field \"code\"\n"),
    ] {
        assert_problem(&service.submit(body).await, 400, expected);
    }
    assert_eq!(service.ledger.stats().submissions, 0);
}

#[tokio::test]
async fn ids() {
    let service = service(&[]).await;
    let id = service.accepted(r#"{"code":"x"}"#).await;
    for path in ["/status", "/result"] {
        for query in ["", "?", "?id", "?id=", "?ID=x", "?id=&id=x"] {
            assert_problem(&service.get(&format!("{path}{query}")).await, 400, "ID is required\n");
        }
        let (upper, plain) = (id.to_uppercase(), id.replace('-', ""));
        let fresh = "6423259c-ee14-45aa-9c90-d5e989f92aa1";
        for unknown in [fresh, "x", &upper, &plain, "%00", "%ff", "..%2f..%2fetc", &"a".repeat(3000)] {
            assert_problem(&service.get(&format!("{path}?id={unknown}")).await, 404, "Submission not found\n");
        }
        for query in [format!("x=1&id={id}&y"), format!("id={}", id.replace('-', "%2D"))] {
            assert_eq!(service.get(&format!("{path}?{query}")).await.status, 200, "{query}");
        }
    }
}

#[tokio::test]
async fn fields_of_every_state() {
    let service = service(&[("QUEUE_SIZE", "1")]).await;
    let waiting = ["id", "queuedAt", "status"];
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(service.accepted(r#"{"language":"c","code":"secret","input":"secret"}"#).await);
    }
    let both = async |id: &str| {
        let (status, result) =
            (service.get(&format!("/status?id={id}")).await, service.get(&format!("/result?id={id}")).await);
        assert_eq!((status.status, result.status), (200, 200));
        assert_eq!(status.json()["status"], result.json()["status"]);
        assert_eq!((&result.json()["id"], &result.json()["language"]), (&Value::from(id), &Value::from("c")));
        assert!(!result.body.contains("secret") && !status.body.contains("secret"));
        assert_cors(&status);
        assert_cors(&result);
        (status, result)
    };
    for (id, word) in [(&ids[0], "queued"), (&ids[1], "pending")] {
        let (status, result) = both(id).await;
        assert_eq!((status.json()["status"].as_str(), status.keys()), (Some(word), waiting.map(String::from).to_vec()));
        assert_eq!(result.keys(), ["id", "language", "output", "queuedAt", "status"]);
        assert_eq!(result.json()["output"], "");
    }
    let job = service.ledger.take().await.unwrap().job;
    let (status, result) = both(&ids[0]).await;
    assert_eq!(status.keys(), ["id", "queuedAt", "startedAt", "status"]);
    assert_eq!(result.keys(), ["id", "language", "output", "queuedAt", "startedAt", "status"]);
    assert_eq!(status.json()["status"], "running");
    assert_eq!(both(&ids[1]).await.0.json()["status"], "queued");
    service.ledger.finish(job.id, report(Verdict::Ok, b" hi\n\0\xff\n")).await;
    let second = service.ledger.take().await.unwrap().job;
    service.ledger.finish(second.id, report(Verdict::ExitStatus(7), b"")).await;
    for (id, word, output) in [(&ids[0], "completed", " hi\n\0\u{fffd}\n"), (&ids[1], "failed", "\nexit status 7")] {
        let (status, result) = both(id).await;
        assert_eq!(status.keys(), ["completedAt", "executionTime", "id", "queuedAt", "startedAt", "status"]);
        let all = "completedAt executionTime executionTimeFormatted id language output queuedAt startedAt status totalTime totalTimeFormatted";
        assert_eq!(result.keys().join(" "), all);
        let result = result.json();
        assert_eq!((&result["status"], &result["output"]), (&Value::from(word), &Value::from(output)));
        assert!(result["executionTime"].is_u64() && result["totalTime"].is_u64());
        assert!(result["totalTimeFormatted"].as_str().unwrap().ends_with('s'));
        for time in ["queuedAt", "startedAt", "completedAt"] {
            let time = result[time].as_str().unwrap();
            assert!(time.len() == 20 && time.ends_with('Z') && time.as_bytes()[10] == b'T', "{time}");
        }
    }
}

#[tokio::test]
async fn more_than_may_wait_is_refused_with_a_time_to_come_again() {
    let service = service(&[("QUEUE_SIZE", "1"), ("CASEMATE_MAX_PENDING", "3")]).await;
    for _ in 0..3 {
        service.accepted(r#"{"code":"x"}"#).await;
    }
    let reply = service.submit(r#"{"code":"x"}"#).await;
    assert_problem(&reply, 503, "Queue is full\n");
    assert!(reply.headers["retry-after"].parse::<u64>().unwrap() >= 1);
    let stats = service.get("/queue-stats").await.json();
    assert_eq!((&stats["queue_stats"]["queue_length"], &stats["submissions"]), (&1.into(), &3.into()));
    service.ledger.take().await.unwrap();
    service.accepted(r#"{"code":"x"}"#).await;
}

#[tokio::test]
async fn bodies_too_large_are_answered_even_while_they_are_still_sent() {
    let service = service(&[("CASEMATE_HTTP__BODY_BYTES", "1000")]).await;
    let fits = format!(r#"{{"code":"{}"}}"#, "x".repeat(989));
    assert_eq!(fits.len(), 1000);
    service.accepted(&fits).await;
    let announced = [post("Content-Length: 3000000").as_bytes(), &[b'x'; 3_000_000]].concat();
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let chunked = [post("Transfer-Encoding: chunked").as_bytes(), &chunk.repeat(40), b"0\r\n\r\n"].concat();
    let one_over = [post("Content-Length: 1001").as_bytes(), &[b' '; 1001]].concat();
    let expecting = post("Content-Length: 3000000\r\nExpect: 100-continue").into_bytes();
    for bytes in [announced, chunked, one_over, expecting] {
        // Writing all of it before reading anything is what a plain client does.
        let reply = Reply::parse(&service.raw(&bytes).await);
        assert_problem(&reply, 413, "Request body is larger than 1000 bytes\n");
        assert_eq!(reply.headers["connection"], "close");
    }
}

#[tokio::test]
async fn chunked_bodies_half_closed_connections_and_pipelines_work() {
    let service = service(&[]).await;
    let body = "6;ext=1\r\n{\"code\r\n6\r\n\":\"x\"}\r\n0\r\n\r\n";
    let chunked = format!("{}{body}", post("Transfer-Encoding: chunked\r\nConnection: close"));
    assert_eq!(Reply::parse(&service.raw(chunked.as_bytes()).await).status, 202);

    let mut stream = TcpStream::connect(service.address).await.unwrap();
    stream.write_all(b"GET /queue-stats HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    assert_eq!(Reply::parse(&reply).status, 200);

    let two = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let replies = String::from_utf8(service.raw(two.as_bytes()).await).unwrap();
    assert_eq!(replies.matches("HTTP/1.1 200").count(), 2);
}

#[tokio::test]
async fn what_stalls_is_ended() {
    let service = service(&[
        ("CASEMATE_HTTP__BODY_MS", "100"),
        ("CASEMATE_HTTP__HEADER_MS", "200"),
        ("CASEMATE_HTTP__IDLE_MS", "200"),
    ])
    .await;
    let stalled = format!("{}{{\"code", post("Content-Length: 100"));
    assert_problem(&Reply::parse(&service.raw(stalled.as_bytes()).await), 408, "Request body did not arrive in time\n");
    for silent in ["", "GET /status", "GET /healthz HTTP/1.1\r\nHost: x\r\n"] {
        assert_eq!(service.raw(silent.as_bytes()).await, b"", "{silent:?}");
    }
}

#[tokio::test]
async fn going_down_answers_open_requests_and_closes_idle_connections() {
    let service = service(&[]).await;
    let mut idle = TcpStream::connect(service.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut seen = [0; 12];
    idle.read_exact(&mut seen).await.unwrap();
    let mut open = TcpStream::connect(service.address).await.unwrap();
    open.write_all(format!("{}{{\"co", post("Content-Length: 12\r\nExpect: 100-continue")).as_bytes()).await.unwrap();
    // The interim reply shows that the request is being handled.
    let mut interim = [0; 25];
    open.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");

    service.ledger.close();
    service.shutdown.leave();
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    open.write_all(b"de\":\"x\"}").await.unwrap();
    let mut reply = Vec::new();
    open.read_to_end(&mut reply).await.unwrap();
    assert_problem(&Reply::parse(&reply), 503, "Shutting down\n");
    drop((idle, open));
    service.served.await.unwrap();
    assert!(TcpStream::connect(service.address).await.is_err());
}

#[tokio::test]
async fn stopping_now_does_not_wait_for_anybody() {
    let service = service(&[]).await;
    let mut open = TcpStream::connect(service.address).await.unwrap();
    open.write_all(format!("{}{{", post("Content-Length: 12")).as_bytes()).await.unwrap();
    service.shutdown.hurry();
    service.shutdown.leave();
    service.served.await.unwrap();
}

/// While what runs may still finish, everybody is answered: load balancers, clients who want a result, new submissions.
#[tokio::test]
async fn a_service_that_drains_says_so() {
    let service = service(&[]).await;
    let id = service.accepted(r#"{"language":"c","code":"x"}"#).await;
    service.ledger.close();
    service.shutdown.begin();
    let refused = service.submit(r#"{"code":"x"}"#).await;
    assert_problem(&refused, 503, "Shutting down\n");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_problem(&service.get("/readyz").await, 503, "Shutting down\n");
    assert_eq!(service.get("/healthz").await.status, 200);
    assert_eq!(service.get(&format!("/result?id={id}")).await.json()["status"], "queued");
}

#[tokio::test]
async fn five_hundred_at_once_are_all_accepted() {
    let service = Arc::new(service(&[]).await);
    let clients: Vec<_> = (0..500)
        .map(|_| {
            let service = Arc::clone(&service);
            tokio::spawn(async move { service.accepted(r#"{"language":"cpp","code":"x","input":"1 2"}"#).await })
        })
        .collect();
    let mut ids = Vec::new();
    for client in clients {
        ids.push(client.await.unwrap());
    }
    ids.sort();
    ids.dedup();
    let stats = service.ledger.stats();
    assert_eq!((ids.len(), stats.queued, stats.pending, stats.submissions), (500, 100, 400, 500));
}
