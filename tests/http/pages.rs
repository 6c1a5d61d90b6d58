//! `GET /v1/submissions` on the wire: pages of what was submitted, the newest first.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use casemate::model::Verdict;
use casemate::service::Request;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::odd::Odd;
use super::wire::{Service, report, service, service_over};

/// The ids of all pages of a query, and how many there were on each.
async fn pages(service: &Service, query: &str) -> (Vec<String>, Vec<usize>) {
    let (mut ids, mut sizes) = (Vec::new(), Vec::new());
    let mut target = format!("/v1/submissions?{query}");
    loop {
        let page = service.get(&target).await.json();
        let on_page = page["submissions"].as_array().unwrap();
        ids.extend(on_page.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        sizes.push(on_page.len());
        match &page["next"] {
            Value::String(cursor) => target = format!("/v1/submissions?{query}&cursor={cursor}"),
            Value::Null => return (ids, sizes),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn pages_are_whole_and_in_order() {
    let service = service(&[("QUEUE_SIZE", "2")]).await;
    assert_eq!(service.get("/v1/submissions").await.body, "{\"submissions\":[],\"next\":null}\n");
    let mut all = Vec::new();
    for _ in 0..7 {
        all.push(service.accepted(r#"{"language":"c","code":"x"}"#).await);
    }
    let done = service.ledger.take().await.unwrap().job.id;
    service.ledger.finish(done, report(Verdict::Ok, b"secret output")).await;
    service.ledger.take().await.unwrap();
    let newest: Vec<_> = all.iter().rev().cloned().collect();
    for (limit, sizes) in [(3, vec![3, 3, 1]), (7, vec![7]), (100, vec![7]), (1, vec![1; 7])] {
        assert_eq!(pages(&service, &format!("limit={limit}")).await, (newest.clone(), sizes), "{limit}");
    }
    for (status, which) in [
        ("completed", &all[0..1]),
        ("running", &all[1..2]),
        ("queued", &all[2..4]),
        ("pending", &all[4..7]),
        ("failed", &[]),
    ] {
        let expected: Vec<_> = which.iter().rev().cloned().collect();
        assert_eq!(pages(&service, &format!("status={status}&limit=2")).await.0, expected, "{status}");
    }
    let reply = service.get("/v1/submissions").await;
    assert!(!reply.body.contains("secret output"), "{}", reply.body);
    let oldest = &reply.json()["submissions"][6];
    let shown = service.get(&format!("/v1/submissions/{}", all[0])).await.json();
    for (member, value) in oldest.as_object().unwrap() {
        assert_eq!(value, &shown[member], "{member}");
    }
    assert_eq!(oldest["status"], json!("completed"));
    for query in ["limit=x", "cursor=x", "status=ended", "page=2"] {
        assert_eq!(service.get(&format!("/v1/submissions?{query}")).await.status, 400, "{query}");
    }
}

/// Ids are all that keeps one client's results from another where there are no tokens: no page of anybody's is told all.
#[tokio::test]
async fn a_page_in_a_browser_is_told_only_on_a_named_origin() {
    let origin = "https://a.example";
    let ask = async |service: &Service, method: &str| {
        let reply = service.request(method, "/v1/submissions", &format!("Origin: {origin}\r\n"), b"").await;
        reply.headers.get("access-control-allow-origin").cloned()
    };
    let unnamed = service(&[]).await;
    assert_eq!((ask(&unnamed, "GET").await, ask(&unnamed, "POST").await.as_deref()), (None, Some("*")));
    for (named, allowed) in [(origin, origin), ("*", "*")] {
        let named = service(&[("CASEMATE_CORS_ORIGINS", named)]).await;
        assert_eq!(ask(&named, "GET").await.as_deref(), Some(allowed));
    }
}

/// What comes in between two pages is on neither, and nothing is on both.
#[tokio::test]
async fn a_page_goes_on_where_the_one_before_ended() {
    let service = service(&[]).await;
    for _ in 0..4 {
        service.accepted(r#"{"code":"x"}"#).await;
    }
    let first = service.get("/v1/submissions?limit=2").await.json();
    let newer = service.accepted(r#"{"code":"x"}"#).await;
    let cursor = first["next"].as_str().unwrap();
    let second = service.get(&format!("/v1/submissions?limit=2&cursor={cursor}")).await.json();
    assert_eq!(second["next"], json!(null));
    let ids = |page: &Value| -> Vec<Value> {
        page["submissions"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect()
    };
    let both = [ids(&first), ids(&second)].concat();
    let mut unique = both.clone();
    unique.sort_by_key(ToString::to_string);
    unique.dedup();
    assert_eq!((both.len(), unique.len()), (4, 4));
    assert!(!both.contains(&json!(newer)));
}

/// Who looks for little among much holds up nobody, also where there is one thread for all: what comes while a list is read is
/// answered before the list is.
#[tokio::test]
async fn a_long_look_gives_way_to_others() {
    const HEALTH: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    let store = Arc::new(Odd::default());
    let service = service_over(store.clone(), &[], &[]).await;
    for _ in 0..1100 {
        let request = Request { language: None, code: Some("x".into()), input: None };
        service.ledger.admit(None, request, None).await.unwrap();
    }
    let mut other = tokio::net::TcpStream::connect(service.address).await.unwrap();
    other.write_all(HEALTH).await.unwrap();
    assert!(other.read(&mut [0; 4096]).await.unwrap() > 0);
    let mut other = other.into_std().unwrap();
    let (parts, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
    let (counts, seen) = (Arc::clone(&parts), Arc::clone(&answered));
    *store.listing.lock().unwrap() = Some(Box::new(move || {
        let part = counts.fetch_add(1, Ordering::Relaxed);
        if part == 1 {
            other.write_all(HEALTH).unwrap();
        } else if part > 1 && other.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
            seen.lock().unwrap().get_or_insert(part);
        }
    }));
    let page = service.get("/v1/submissions?status=failed").await.json();
    assert_eq!(
        (&page["submissions"], page["next"].is_string()),
        (&json!([]), true),
        "it looked at more than one page may"
    );
    let (parts, answered) = (parts.load(Ordering::Relaxed), *answered.lock().unwrap());
    assert!(answered.is_some(), "nobody was answered during {parts} parts");
}
