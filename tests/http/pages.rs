//! `GET /v1/submissions` on the wire: pages of what was submitted, the newest first.

use casemate::model::Verdict;
use serde_json::{Value, json};

use super::wire::{Service, report, service};

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
    for query in ["limit=0", "limit=101", "cursor=x", "status=ended", "page=2"] {
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
