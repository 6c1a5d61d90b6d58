//! Every kind of problem, produced on the wire: those that the documentation lists, no fewer and no others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use casemate::config::{Rate, TokenEntry};
use casemate::service::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::odd::Odd;
use super::who::token;
use super::wire::{Reply, Service, service, service_over, service_with};

const PROGRAM: &str = r#"{"language":"c","source":"x"}"#;
const SUBMISSIONS: &str = "/v1/submissions";

async fn send(service: &Service, headers: &str, body: &str) -> Reply {
    service.request("POST", SUBMISSIONS, headers, body.as_bytes()).await
}

/// What the page of the API lists: kinds and their statuses.
fn listed() -> BTreeSet<(String, u16)> {
    let page = include_str!("../../docs/API.md");
    let table = page.split("| kind | status | when |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.flat_map(|line| {
        let mut cells = line.split('|').skip(1);
        let (kinds, status) = (cells.next().unwrap(), cells.next().unwrap().trim().parse().unwrap());
        kinds.split(',').map(move |kind| (kind.trim().trim_matches('`').to_owned(), status)).collect::<Vec<_>>()
    })
    .collect()
}

/// What `/openapi.json` says of itself.
fn described() -> BTreeSet<String> {
    let text = include_str!("../../docs/openapi.json");
    text.split("urn:casemate:problem:").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// One that needs nothing but a request.
async fn plain(kinds: &mut Vec<(&'static str, u16, Reply)>) {
    let service = service(&[("CASEMATE_HTTP__SUBMISSION_BYTES", "1000"), ("CASEMATE_HTTP__LISTENERS", "1")]).await;
    let id = send(&service, "", PROGRAM).await.json()["id"].as_str().unwrap().to_owned();
    let place = format!("{SUBMISSIONS}/{id}");
    let mut reader = TcpStream::connect(service.address).await.unwrap();
    reader.write_all(format!("GET {place}/events HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    assert!(reader.read(&mut [0; 4096]).await.unwrap() > 0);
    let above = json!({"language": "c", "source": "x", "limits": {"run": {"wall_ms": u64::MAX}}}).to_string();
    let key = "Idempotency-Key: k\r\n";
    assert_eq!(send(&service, key, PROGRAM).await.status, 202);
    let large = json!({"language": "c", "source": "x".repeat(1000)}).to_string();
    kinds.extend([
        ("malformed_request", 400, send(&service, "", "{}").await),
        ("bad_key", 400, send(&service, "Idempotency-Key: \r\n", PROGRAM).await),
        ("unknown_submission", 404, service.get("/v1/submissions/6423259c-ee14-45aa-9c90-d5e989f92aa1").await),
        ("unknown_path", 404, service.get("/v1/nowhere").await),
        ("unknown_method", 405, service.request("PUT", SUBMISSIONS, "", b"").await),
        ("key_reused", 409, send(&service, key, &PROGRAM.replace('x', "y")).await),
        ("too_large", 413, send(&service, "", &large).await),
        ("unknown_host", 421, service.request_for("evil.example", "POST", SUBMISSIONS, "", PROGRAM.as_bytes()).await),
        ("unknown_encoding", 415, send(&service, "Content-Encoding: gzip\r\n", PROGRAM).await),
        ("bad_value", 422, send(&service, "", r#"{"language":"ruby","source":"x"}"#).await),
        ("out_of_range", 422, send(&service, "", &above).await),
        ("too_many", 503, service.get(&format!("{place}/events")).await),
    ]);
    service.ledger.close();
    kinds.push(("shutting_down", 503, send(&service, "", PROGRAM).await));
}

async fn of_tokens(kinds: &mut Vec<(&'static str, u16, Reply)>) {
    let rate = Some(Rate { every: Duration::from_secs(1000), burst: 1 });
    let tokens = [TokenEntry { rate, ..token("a") }, TokenEntry { waiting: Some(1), ..token("b") }];
    let service = service_with(&[], &tokens).await;
    kinds.push(("no_token", 401, send(&service, "", PROGRAM).await));
    for (name, kind) in [("a", "rate_exceeded"), ("b", "too_many_waiting")] {
        let header = format!("Authorization: Bearer secret-{name}\r\n");
        assert_eq!(send(&service, &header, PROGRAM).await.status, 202);
        kinds.push((kind, 429, send(&service, &header, PROGRAM).await));
    }
}

async fn of_the_service(kinds: &mut Vec<(&'static str, u16, Reply)>) {
    let store = Arc::new(Odd::default());
    let service =
        service_over(store.clone(), &[("CASEMATE_MAX_PENDING", "1"), ("CASEMATE_HTTP__BODY_MS", "100")], &[]).await;
    store.full.store(true, Ordering::Relaxed);
    kinds.push(("store_unavailable", 503, send(&service, "", PROGRAM).await));
    store.full.store(false, Ordering::Relaxed);
    store.breaks.store(true, Ordering::Relaxed);
    kinds.push(("internal", 500, send(&service, "", PROGRAM).await));
    store.breaks.store(false, Ordering::Relaxed);
    let request = Request { language: None, code: Some("x".into()), input: None };
    service.ledger.admit(None, request, None).await.unwrap();
    kinds.push(("queue_full", 503, send(&service, "", PROGRAM).await));
    let part = format!("POST {SUBMISSIONS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 30\r\n\r\n{{");
    kinds.push(("too_slow", 408, Reply::parse(&service.raw(part.as_bytes()).await)));
}

/// The document of a reply that has this status and kind, with all that every document has.
fn problem(reply: &Reply, status: u16, kind: &str) -> Value {
    assert_eq!(reply.headers["content-type"], "application/problem+json", "{kind}: {reply:?}");
    let document: Value = serde_json::from_str(&reply.body).unwrap();
    let said = (reply.status, &document["status"], &document["type"]);
    assert_eq!(said, (status, &json!(status), &json!(format!("urn:casemate:problem:{kind}"))), "{reply:?}");
    for member in ["title", "detail", "remedy"] {
        assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {document:#}");
    }
    document
}

#[tokio::test]
async fn every_kind_is_told_as_it_is_documented() {
    let mut kinds = Vec::new();
    plain(&mut kinds).await;
    of_tokens(&mut kinds).await;
    of_the_service(&mut kinds).await;
    for (kind, status, reply) in &kinds {
        let document = problem(reply, *status, kind);
        let again = reply.headers.contains_key("retry-after");
        assert!(again || !matches!(kind, &"rate_exceeded" | &"too_many_waiting" | &"queue_full"), "{document:#}");
    }
    let seen: BTreeSet<_> = kinds.iter().map(|(kind, status, _)| ((*kind).to_owned(), *status)).collect();
    assert_eq!(seen, listed());
    // A path that there is not has no description.
    let names = seen.into_iter().map(|(kind, _)| kind).filter(|kind| kind != "unknown_path").collect::<BTreeSet<_>>();
    assert_eq!(names, described());
}
