//! Who may, on the wire: tokens by route, what each of them sees, and how much it may have.

use std::num::NonZeroU32;
use std::time::Duration;

use casemate::config::{Defaults, Rate, Settings, TokenEntry};
use casemate::model::{Owner, TokenDigest, Verdict};
use serde_json::{Value, json};

use super::wire::{Reply, Service, assert_cors, report, service, service_with};

const PROGRAM: &str = r#"{"language":"c","source":"x"}"#;

/// The token of this name is `secret-<name>`.
pub fn token(name: &str) -> TokenEntry {
    let settings = Settings::resolve(None, std::iter::empty(), Defaults { home: "/h".into() }).unwrap();
    TokenEntry {
        owner: Owner::named(name).unwrap(),
        digest: TokenDigest::of(format!("secret-{name}").as_bytes()),
        rate: None,
        share: NonZeroU32::MIN,
        waiting: None,
        ceilings: settings.ceilings,
    }
}

impl Service {
    /// A request with the token of this name; without a name, without one.
    async fn with(&self, name: &str, method: &str, target: &str, body: &str) -> Reply {
        let header = if name.is_empty() { String::new() } else { format!("Authorization: Bearer secret-{name}\r\n") };
        let body = if method == "POST" { body } else { "" };
        self.request(method, target, &header, body.as_bytes()).await
    }

    /// Submits with a token; where to find it.
    async fn sent(&self, name: &str, body: &str) -> String {
        let reply = self.with(name, "POST", "/v1/submissions", body).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        reply.headers["location"].clone()
    }
}

fn problem(reply: &Reply, status: u16, kind: &str) -> Value {
    assert_eq!(reply.headers["content-type"], "application/problem+json", "{reply:?}");
    let document: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!(
        (reply.status, &document["type"]),
        (status, &json!(format!("urn:casemate:problem:{kind}"))),
        "{reply:?}"
    );
    document
}

#[tokio::test]
async fn every_route_below_v1_wants_a_token_and_the_others_do_not() {
    let service = service_with(&[], &[token("a"), token("b")]).await;
    let place = service.sent("a", PROGRAM).await;
    for (method, target) in [
        ("POST", "/v1/submissions"),
        ("GET", "/v1/submissions"),
        ("GET", place.as_str()),
        ("DELETE", place.as_str()),
        ("GET", "/v1/submissions/6423259c-ee14-45aa-9c90-d5e989f92aa1"),
    ] {
        let reply = service.with("", method, target, PROGRAM).await;
        problem(&reply, 401, "no_token");
        assert_eq!(reply.headers["www-authenticate"], "Bearer realm=\"casemate\"");
        let reply = service.with("unknown", method, target, PROGRAM).await;
        problem(&reply, 401, "no_token");
        assert_eq!(reply.headers["www-authenticate"], "Bearer realm=\"casemate\", error=\"invalid_token\"");
        assert!(!reply.body.contains("secret"), "{reply:?}");
    }
    // A method that is not there needs no token to be told so, nor does a browser's question.
    problem(&service.with("", "PUT", "/v1/submissions", "").await, 405, "unknown_method");
    assert_eq!(service.with("", "OPTIONS", "/v1/submissions", "").await.status, 200);
    for path in ["/healthz", "/readyz", "/queue-stats"] {
        assert_eq!(service.get(path).await.status, 200, "{path}");
    }
    let id = service.accepted(r#"{"code":"x"}"#).await;
    let shown = service.get(&format!("/status?id={id}")).await;
    assert_eq!(shown.status, 200);
    assert_cors(&shown);
}

#[tokio::test]
async fn a_token_sees_what_it_submitted_and_nothing_else() {
    let service = service_with(&[], &[token("a"), token("b")]).await;
    let place = service.sent("a", PROGRAM).await;
    let nobodys = format!("/v1/submissions/{}", service.accepted(r#"{"code":"x"}"#).await);
    for (name, place, status) in [("a", &place, 200), ("b", &place, 404), ("a", &nobodys, 404), ("b", &nobodys, 404)] {
        assert_eq!(service.with(name, "GET", place, "").await.status, status, "{name} {place}");
    }
    for (name, places) in [("a", vec![&place]), ("b", vec![])] {
        let listed = service.with(name, "GET", "/v1/submissions", "").await.json();
        let ids = listed["submissions"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned());
        assert_eq!(
            ids.map(|id| format!("/v1/submissions/{id}")).collect::<Vec<_>>().iter().collect::<Vec<_>>(),
            places
        );
    }
    problem(&service.with("b", "GET", &format!("{place}?wait=5"), "").await, 404, "unknown_submission");
    problem(&service.with("b", "DELETE", &place, "").await, 404, "unknown_submission");
    let job = service.ledger.take().await.unwrap();
    assert!(place.ends_with(&job.job.id.to_string()) && !job.cancel.is_cancelled());
    service.ledger.finish(job.job.id, report(Verdict::Ok, b"hi\n")).await;
    for (name, status) in [("a", 200), ("b", 404)] {
        for place in [&place, &format!("{place}/events")] {
            assert_eq!(service.with(name, "GET", place, "").await.status, status, "{name} {place}");
        }
    }
    // The Monaco routes ask nobody, and know everything by its id.
    assert_eq!(service.get(&format!("/result?id={}", job.job.id)).await.json()["output"], "hi\n");
}

#[tokio::test]
async fn the_monaco_routes_can_be_guarded_too() {
    let service = service_with(&[("CASEMATE_HTTP__GUARD_MONACO", "true")], &[token("a"), token("b")]).await;
    let accepted = service.with("a", "POST", "/submit", r#"{"code":"x"}"#).await;
    let id = accepted.json()["id"].as_str().unwrap().to_owned();
    for (method, target) in [
        ("POST", "/submit".to_owned()),
        ("GET", format!("/status?id={id}")),
        ("GET", format!("/result?id={id}")),
        ("GET", "/queue-stats".into()),
    ] {
        let reply = service.with("", method, &target, r#"{"code":"x"}"#).await;
        assert_eq!((reply.status, reply.body.as_str()), (401, "A token is required\n"), "{target}");
        assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
        assert_eq!(reply.headers["www-authenticate"], "Bearer realm=\"casemate\"");
    }
    for path in ["/status", "/result"] {
        assert_eq!(service.with("a", "GET", &format!("{path}?id={id}"), "").await.status, 200);
        let reply = service.with("b", "GET", &format!("{path}?id={id}"), "").await;
        assert_eq!((reply.status, reply.body.as_str()), (404, "Submission not found\n"));
    }
    assert_eq!(service.with("b", "GET", "/queue-stats", "").await.status, 200);
    assert_eq!(service.with("a", "GET", &format!("/v1/submissions/{id}"), "").await.status, 200);
}

#[tokio::test]
async fn metrics_want_a_token_where_they_are_to() {
    for (guard, status) in [("true", 401), ("false", 200)] {
        let service = service_with(&[("CASEMATE_HTTP__GUARD_METRICS", guard)], &[token("a")]).await;
        assert_eq!(service.get("/metrics").await.status, status, "{guard}");
        assert_eq!(service.with("a", "GET", "/metrics", "").await.status, 200);
        assert_eq!(service.with("a", "GET", "/readyz", "").await.status, 200);
    }
}

#[tokio::test]
async fn without_tokens_nobody_is_asked() {
    let service = service(&[]).await;
    let reply = service.with("whatever", "POST", "/v1/submissions", PROGRAM).await;
    assert_eq!(reply.status, 202);
    assert_eq!(service.get(&reply.headers["location"]).await.status, 200);
}

/// DNS rebinding: a page has its own name lead to the loopback interface, and is of one origin with the service then, so that no
/// rule about origins counts. Its requests say what they are for.
#[tokio::test]
async fn a_page_that_has_its_own_name_lead_here_is_refused() {
    const JSON: &str = "Content-Type: application/json\r\n";
    const SUBMISSION: &[u8] = br#"{"code":"x"}"#;
    let service = service(&[]).await;
    for (method, target) in [
        ("POST", "/submit"),
        ("OPTIONS", "/submit"),
        ("POST", "/v1/submissions"),
        ("GET", "/v1/submissions"),
        ("GET", "/queue-stats"),
        ("GET", "/metrics"),
        ("GET", "/healthz"),
        ("GET", "/"),
    ] {
        for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example"] {
            let reply = service.request_for(host, method, target, JSON, SUBMISSION).await;
            assert_eq!(reply.status, 421, "{host} {method} {target}: {reply:?}");
        }
        for host in
            ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "192.0.2.1", "casemate", "judge-1:80"]
        {
            let reply = service.request_for(host, method, target, JSON, SUBMISSION).await;
            assert_ne!(reply.status, 421, "{host} {method} {target}: {reply:?}");
        }
    }
    let refused = service.request_for("evil.example", "POST", "/submit", JSON, SUBMISSION).await;
    assert_eq!(refused.body, "evil.example is no name of this service\n");
    let refused = service.request_for("evil.example", "GET", "/v1/submissions", "", b"").await;
    let document = problem(&refused, 421, "unknown_host");
    assert_eq!((&document["field"], &document["value"]), (&json!("Host"), &json!("evil.example")));
    assert!(document["remedy"].as_str().unwrap().contains("http.hosts"), "{document}");
}

/// Where something else says who may, or others reach it by names that only they know, every name will do; and those that are named.
#[tokio::test]
async fn names_that_the_service_answers_to() {
    let hosts = |names: &'static str| ("CASEMATE_HTTP__HOSTS", names);
    let (network, guarded) = (("CASEMATE_LISTEN", "0.0.0.0"), ("CASEMATE_HTTP__GUARD_MONACO", "true"));
    for (env, tokens, host, status) in [
        (&[guarded][..], &[token("a")][..], "judge.example", 200),
        // The routes of Monaco ask nobody.
        (&[], &[token("a")], "judge.example", 421),
        (&[network], &[], "judge.example", 200),
        (&[hosts("*")], &[], "judge.example", 200),
        (&[hosts("judge.example,b.example")], &[], "Judge.Example.:8080", 200),
        (&[hosts("judge.example")], &[], "evil.example", 421),
        (&[hosts("judge.example"), network], &[token("a")], "evil.example", 421),
    ] {
        let service = service_with(env, tokens).await;
        let reply = service.request_for(host, "GET", "/healthz", "", b"").await;
        assert_eq!(reply.status, status, "{env:?} {host}");
    }
}

#[tokio::test]
async fn keys_of_two_tokens_are_two_keys() {
    let service = service_with(&[], &[token("a"), token("b")]).await;
    let send = async |name: &str, body: &str| {
        let headers = format!("Authorization: Bearer secret-{name}\r\nIdempotency-Key: k\r\n");
        service.request("POST", "/v1/submissions", &headers, body.as_bytes()).await
    };
    let first = send("a", PROGRAM).await.headers["location"].clone();
    assert_eq!(send("a", PROGRAM).await.headers["location"], first);
    problem(&send("a", r#"{"language":"c","source":"y"}"#).await, 409, "key_reused");
    let other = send("b", r#"{"language":"c","source":"y"}"#).await;
    assert!(other.status == 202 && other.headers["location"] != first, "{other:?}");
}

#[tokio::test]
async fn a_rate_holds_for_its_token_alone() {
    let rate = Some(Rate { every: Duration::from_secs(1000), burst: 2 });
    let service = service_with(&[], &[TokenEntry { rate, ..token("a") }, token("b")]).await;
    let keyed = "Authorization: Bearer secret-a\r\nIdempotency-Key: k\r\n".to_owned();
    let first = service.request("POST", "/v1/submissions", &keyed, PROGRAM.as_bytes()).await;
    assert_eq!(first.status, 202);
    // A repetition submits nothing, and what is refused for something else does not count.
    let again = service.request("POST", "/v1/submissions", &keyed, PROGRAM.as_bytes()).await;
    assert_eq!((again.status, &again.headers["location"]), (202, &first.headers["location"]));
    problem(&service.with("a", "POST", "/v1/submissions", r#"{"language":"no","source":"x"}"#).await, 422, "bad_value");
    service.sent("a", PROGRAM).await;
    let reply = service.with("a", "POST", "/v1/submissions", PROGRAM).await;
    problem(&reply, 429, "rate_exceeded");
    let after: u64 = reply.headers["retry-after"].parse().unwrap();
    assert!((900..=1000).contains(&after), "{after}");
    // Also where nothing more may come.
    let again = service.request("POST", "/v1/submissions", &keyed, PROGRAM.as_bytes()).await;
    assert_eq!((again.status, &again.headers["location"]), (202, &first.headers["location"]));
    service.sent("b", PROGRAM).await;
    service.accepted(r#"{"code":"x"}"#).await;
}

#[tokio::test]
async fn what_waits_of_a_token_is_bounded_and_takes_nobody_elses_place() {
    let tokens = [
        TokenEntry { waiting: Some(2), ..token("a") },
        TokenEntry { share: NonZeroU32::new(6).unwrap(), ..token("b") },
    ];
    // Of sixteen places b has twelve by its share, and two are for those without a token.
    let service = service_with(&[("CASEMATE_MAX_PENDING", "16")], &tokens).await;
    let refused = async |name: &str| {
        let reply = service.with(name, "POST", "/v1/submissions", PROGRAM).await;
        problem(&reply, 429, "too_many_waiting");
        assert_eq!(reply.headers["retry-after"], "1");
    };
    for (name, most) in [("b", 12), ("a", 2)] {
        for _ in 0..most {
            service.sent(name, PROGRAM).await;
        }
        refused(name).await;
    }
    for _ in 0..2 {
        service.accepted(r#"{"code":"x"}"#).await;
    }
    assert_eq!(service.submit(r#"{"code":"x"}"#).await.status, 503);
    // Whoever has all of his own waiting is told that, also where all places are taken.
    refused("b").await;
    // One that a worker takes leaves its place, to its owner.
    service.ledger.take().await.unwrap();
    refused("a").await;
    service.sent("b", PROGRAM).await;
}

/// The operator's own numbers can be more than there is room for; then others feel it, as the warning at the start says.
#[tokio::test]
async fn a_number_above_its_part_is_at_the_cost_of_the_others() {
    let tokens = [TokenEntry { waiting: Some(3), ..token("a") }, token("b")];
    let service = service_with(&[("CASEMATE_MAX_PENDING", "3")], &tokens).await;
    for _ in 0..3 {
        service.sent("a", PROGRAM).await;
    }
    problem(&service.with("b", "POST", "/v1/submissions", PROGRAM).await, 503, "queue_full");
}

/// Nothing is kept for those without a token where they cannot submit.
#[tokio::test]
async fn guarded_tokens_have_all_places() {
    let settings = [("CASEMATE_MAX_PENDING", "4"), ("CASEMATE_HTTP__GUARD_MONACO", "true")];
    let service = service_with(&settings, &[token("a"), token("b")]).await;
    for name in ["a", "b"] {
        for _ in 0..2 {
            service.sent(name, PROGRAM).await;
        }
        problem(&service.with(name, "POST", "/v1/submissions", PROGRAM).await, 429, "too_many_waiting");
    }
}

#[tokio::test]
async fn ceilings_are_the_lower_of_both() {
    let mut low = token("a");
    low.ceilings.run.wall_ms = Some(20_000);
    let service = service_with(&[], &[low, token("b")]).await;
    let body = |wall: u32| json!({"language": "c", "source": "x", "limits": {"run": {"wall_ms": wall}}}).to_string();
    let document = problem(&service.with("a", "POST", "/v1/submissions", &body(20_001)).await, 422, "out_of_range");
    assert_eq!((&document["field"], &document["ceiling"]), (&json!("limits.run.wall_ms"), &json!(20_000)));
    service.sent("a", &body(20_000)).await;
    service.sent("b", &body(60_000)).await;
    problem(&service.with("b", "POST", "/v1/submissions", &body(60_001)).await, 422, "out_of_range");
}

/// A page on an allowed origin may use what wants a token; no other may.
#[tokio::test]
async fn browsers() {
    let origin = "https://a.example";
    let ask = async |service: &Service, method: &str, target: &str, origin: &str| {
        let headers = format!(
            "Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\nAuthorization: Bearer secret-a\r\n"
        );
        let body = if method == "POST" { PROGRAM } else { "" };
        let reply = service.request(method, target, &headers, body.as_bytes()).await;
        (reply.status, reply.headers.get("access-control-allow-origin").cloned(), reply.headers)
    };
    let named = service_with(&[("CASEMATE_CORS_ORIGINS", origin)], &[token("a")]).await;
    for (method, status) in [("OPTIONS", 200), ("POST", 202)] {
        let (found, allowed, headers) = ask(&named, method, "/v1/submissions", origin).await;
        assert_eq!((found, allowed.as_deref()), (status, Some(origin)), "{method}");
        assert!(headers["access-control-allow-headers"].contains("Authorization") && headers["vary"] == "Origin");
        assert_eq!(ask(&named, method, "/v1/submissions", "https://b.example").await.1, None);
    }
    // A page can read why it was refused.
    let refused = named.request("GET", "/v1/submissions/x", &format!("Origin: {origin}\r\n"), b"").await;
    assert_eq!((refused.status, refused.headers["access-control-allow-origin"].as_str()), (401, origin));
    // Where none is named no page may, but for what wants no token.
    let unnamed = service_with(&[], &[token("a")]).await;
    for target in ["/v1/submissions", "/v1/nothing"] {
        assert_eq!(ask(&unnamed, "OPTIONS", target, origin).await.1, None, "{target}");
    }
    for target in ["/submit", "/healthz", "/nothing"] {
        assert_eq!(ask(&unnamed, "OPTIONS", target, origin).await.1.as_deref(), Some("*"), "{target}");
    }
    // What is named holds for the Monaco routes too, and where these are guarded a page may use them only so.
    let guard = ("CASEMATE_HTTP__GUARD_MONACO", "true");
    let guarded = service_with(&[guard], &[token("a")]).await;
    let both = service_with(&[guard, ("CASEMATE_CORS_ORIGINS", origin)], &[token("a")]).await;
    for target in ["/submit", "/status?id=x", "/result?id=x", "/queue-stats"] {
        for (service, from, allowed) in [
            (&named, origin, Some(origin)),
            (&named, "https://b.example", None),
            (&guarded, origin, None),
            (&both, origin, Some(origin)),
            (&both, "https://b.example", None),
        ] {
            assert_eq!(ask(service, "GET", target, from).await.1.as_deref(), allowed, "{target} {from}");
        }
    }
}
