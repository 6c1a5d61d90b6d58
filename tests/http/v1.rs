//! The routes below `/v1/` on the wire, with a worker made of the test.

use std::sync::Arc;
use std::time::{Duration, Instant};

use casemate::model::{
    About, Beside, Captured, Elapsed, Evidence, Fault, JobReport, Outcome, Streams, Verdict, WaitStatus, WallTime,
};
use casemate::store::memory::MemoryStore;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::wire::{Reply, Service, assert_cors, report, service, service_over};

async fn submit(service: &Service, query: &str, body: &Value) -> Reply {
    service.request("POST", &format!("/v1/submissions{query}"), "", body.to_string().as_bytes()).await
}

/// A problem document with this status and kind.
pub fn problem(reply: &Reply, status: u16, kind: &str) -> Value {
    assert_eq!(reply.headers["content-type"], "application/problem+json", "{reply:?}");
    assert_cors(reply);
    let document: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((reply.status, &document["status"]), (status, &json!(status)), "{reply:?}");
    assert_eq!(document["type"], format!("urn:casemate:problem:{kind}"));
    for member in ["title", "detail", "remedy"] {
        assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {document:#}");
    }
    document
}

#[tokio::test]
async fn a_submission_is_accepted_shown_and_ended() {
    let service = service(&[]).await;
    let body = json!({"language": "c", "source": "x", "stdin": "in", "args": ["a"], "env": {"K": "v"},
        "limits": {"run": {"wall_ms": 1234}}, "streams": "merged"});
    let reply = submit(&service, "", &body).await;
    let shown = reply.json();
    assert_eq!((reply.status, &shown["status"], &shown["language"]), (202, &json!("queued"), &json!("c")));
    assert_cors(&reply);
    let place = reply.headers["location"].clone();
    assert_eq!(place, format!("/v1/submissions/{}", shown["id"].as_str().unwrap()));
    let job = service.ledger.take().await.unwrap().job;
    assert_eq!(
        (&job.invocation.args[..], &job.invocation.env[..]),
        (&["a".to_owned()][..], &[("K".to_owned(), "v".to_owned())][..])
    );
    assert_eq!((job.runs[0].limits.wall.0, &job.runs[0].stdin[..], job.streams), (1234, &b"in"[..], Streams::Merged));
    assert_eq!(service.get(&place).await.json()["status"], "running");
    service.ledger.finish(job.id, report(Verdict::Ok, b"hi\n")).await;
    let shown = service.get(&place).await.json();
    assert_eq!(
        (&shown["status"], &shown["verdict"], &shown["run"]["stdout"]),
        (&json!("completed"), &json!("accepted"), &json!("hi\n"))
    );
    // The same through the Monaco routes.
    let id = job.id.to_string();
    assert_eq!(service.get(&format!("/result?id={id}")).await.json()["output"], "hi\n");
}

#[tokio::test]
async fn the_whole_document() {
    let service = service(&[]).await;
    let place = submit(&service, "", &json!({"language": "c", "source": "x"})).await.headers["location"].clone();
    let job = service.ledger.take().await.unwrap().job;
    let mut made = report(Verdict::Signal(11), b"");
    let output = Captured { stdout: b"a\xff".to_vec(), stderr: "é\0".into(), seen: 9, cut: true, lost: [4, 0] };
    made.runs[0].evidence =
        Evidence { wait: Some(WaitStatus::Signaled(11)), elapsed: Some(Elapsed(1500)), output, ..Evidence::default() };
    made.runs[0].verdict = Verdict::OutputLimit;
    let [runtime, image, image_digest] = ["crun version 1", "gcc", "ab"].map(|text| Some(text.to_owned()));
    made.about = Some(About { runtime, image, image_digest, streams: Streams::Separate, tests: false, runs: vec![] });
    service.ledger.finish(job.id, made).await;
    let shown = service.get(&place).await.json();
    let run = &shown["run"];
    for (member, value) in [
        ("verdict", json!("output_limit")),
        ("limit", json!("output_bytes")),
        ("exit_status", json!(null)),
        ("signal", json!("SIGSEGV")),
        ("stdout", json!("Yf8=")),
        ("stdout_encoding", json!("base64")),
        ("stdout_truncated", json!(true)),
        ("stderr", json!("é\0")),
        ("stderr_encoding", json!("utf-8")),
        ("stderr_truncated", json!(false)),
        ("output_bytes", json!(9)),
        ("wall_us", json!(1500)),
        ("cpu_us", json!(null)),
        ("not_enforced", json!([])),
    ] {
        assert_eq!(run[member], value, "{member}: {shown:#}");
    }
    assert_eq!(
        run["limits"]["wall_ms"],
        json!({"limit": 10_000, "used": 2, "enforced_by": "watchdog", "fired": false})
    );
    assert_eq!(run["limits"]["output_bytes"]["fired"], true);
    assert_eq!(run["limits"].as_object().unwrap().len(), 11);
    for (member, value) in [
        ("verdict", json!("output_limit")),
        ("limit", json!("output_bytes")),
        ("status", json!("failed")),
        ("error", json!(null)),
        ("streams", json!("separate")),
        ("runtime", json!("crun version 1")),
        ("image", json!({"name": "gcc", "digest": "ab"})),
        ("compile", json!(null)),
        ("wall_us", json!(1500)),
    ] {
        assert_eq!(shown[member], value, "{member}: {shown:#}");
    }
    assert!(shown["queue_us"].is_u64() && shown["run_us"].is_u64());
    assert!(shown["ended_at"].as_str().unwrap().len() == "2026-01-02T03:04:05.678901Z".len());
}

#[tokio::test]
async fn endings_without_a_run() {
    let service = service(&[]).await;
    let with = |report: JobReport| async {
        let report = report;
        let place = submit(&service, "", &json!({"language": "c", "source": "x"})).await.headers["location"].clone();
        let job = service.ledger.take().await.unwrap().job;
        service.ledger.finish(job.id, report).await;
        service.get(&place).await.json()
    };
    let shown = with(JobReport::faulted(Fault::Runtime)).await;
    assert_eq!(
        (&shown["verdict"], &shown["error"]),
        (&json!("internal_error"), &json!("the container runtime failed"))
    );
    let mut compile = report(Verdict::TimeLimit, b"words");
    let step = compile.runs.pop().unwrap();
    let shown = with(JobReport { outcome: Outcome::CompileFailed, compile: Some(step), ..compile }).await;
    assert_eq!(
        (&shown["verdict"], &shown["limit"], &shown["run"]),
        (&json!("compile_error"), &json!("wall_ms"), &json!(null))
    );
    assert_eq!((&shown["compile"]["verdict"], &shown["compile"]["stdout"]), (&json!("time_limit"), &json!("words")));
    let reply = submit(&service, "", &json!({"language": "c", "source": "x"})).await;
    let place = &reply.headers["location"];
    let cancelled = service.request("DELETE", place, "", b"").await;
    assert_eq!((cancelled.status, &cancelled.json()["status"]), (200, &json!("failed")));
    let shown = service.get(place).await.json();
    assert_eq!(
        (&shown["verdict"], &shown["started_at"], &shown["run_us"]),
        (&json!("cancelled"), &json!(null), &json!(null))
    );
}

/// Those that took place with all that a run has, the others by name.
#[tokio::test]
async fn tests_are_shown_one_by_one() {
    let service = service(&[]).await;
    let body = json!({"language": "c", "source": "x", "stop_on_failure": true,
        "tests": [{"name": "a", "expected": "1"}, {"expected": "2"}, {"name": "c"}]});
    let place = submit(&service, "", &body).await.headers["location"].clone();
    let with = |outcome: Outcome, verdicts: &[Verdict]| {
        let step = |verdict: &Verdict| report(*verdict, b"out").runs.remove(0);
        let runs = ["a", "", "c"].map(|name| Beside {
            name: Some(name.to_owned()).filter(|name| !name.is_empty()),
            files: vec![],
            checker: None,
        });
        let [runtime, image, image_digest] = ["crun version 1", "gcc", "ab"].map(|text| Some(text.to_owned()));
        let about = About { runtime, image, image_digest, streams: Streams::Separate, tests: true, runs: runs.into() };
        JobReport { outcome, compile: None, runs: verdicts.iter().map(step).collect(), about: Some(about) }
    };
    let job = service.ledger.take().await.unwrap().job;
    assert_eq!((job.runs.len(), job.several.unwrap().stop_on_failure), (3, true));
    service.ledger.finish(job.id, with(Outcome::Ran, &[Verdict::Ok, Verdict::WrongAnswer])).await;
    let shown = service.get(&place).await.json();
    for (member, value) in [
        ("status", json!("failed")),
        ("verdict", json!("wrong_answer")),
        ("limit", json!(null)),
        ("run", json!(null)),
        ("passed", json!(1)),
        ("failed", json!(1)),
        ("not_run", json!(1)),
    ] {
        assert_eq!(shown[member], value, "{member}: {shown:#}");
    }
    let tests = &shown["tests"];
    assert_eq!(
        (&tests[0]["name"], &tests[0]["verdict"], &tests[0]["stdout"]),
        (&json!("a"), &json!("accepted"), &json!("out"))
    );
    assert_eq!((&tests[1]["name"], &tests[1]["verdict"]), (&json!(null), &json!("wrong_answer")));
    assert_eq!(tests[1]["limits"].as_object().unwrap().len(), 11);
    assert_eq!(tests[2], json!({"name": "c", "verdict": "not_run", "limit": null}));

    let all = [Verdict::Ok; 3];
    for (outcome, verdicts, verdict, output) in [
        (Outcome::Ran, &all[..], "accepted", "out"),
        (Outcome::OutOfTime(WallTime(1500)), &all[..2], "time_limit", "out\nexecution timed out after 1.5 seconds"),
        (Outcome::OutOfTime(WallTime(1500)), &[], "time_limit", "\nexecution timed out after 1.5 seconds"),
        (Outcome::OutOfTime(WallTime(1500)), &[Verdict::Ok, Verdict::WrongAnswer], "wrong_answer", "out\nwrong answer"),
        (Outcome::Cancelled, &all[..1], "cancelled", "\ncancelled"),
    ] {
        let place = submit(&service, "", &body).await.headers["location"].clone();
        let job = service.ledger.take().await.unwrap().job;
        service.ledger.finish(job.id, with(outcome, verdicts)).await;
        let shown = service.get(&place).await.json();
        let state = if verdict == "accepted" { "completed" } else { "failed" };
        assert_eq!((&shown["verdict"], &shown["status"]), (&json!(verdict), &json!(state)), "{shown:#}");
        assert_eq!(shown["not_run"], json!(3 - verdicts.len()), "{shown:#}");
        assert_eq!(service.get(&format!("/result?id={}", job.id)).await.json()["output"], output);
    }
}

/// Whatever kept a submission from being started, its tests are told of, one by one and counted.
#[tokio::test]
async fn tests_that_nobody_came_to_are_not_run() {
    let store = Arc::new(MemoryStore::new());
    let body = json!({"language": "c", "source": "x", "tests": [{"name": "a"}, {}]});
    let untouched = |shown: &Value, verdict: &str| {
        assert_eq!(
            (&shown["verdict"], &shown["run"], &shown["compile"]),
            (&json!(verdict), &json!(null), &json!(null))
        );
        assert_eq!((&shown["runtime"], &shown["image"]), (&json!(null), &json!(null)), "{shown:#}");
        let test = |name: Value| json!({"name": name, "verdict": "not_run", "limit": null});
        assert_eq!(shown["tests"], json!([test(json!("a")), test(json!(null))]), "{shown:#}");
        assert_eq!((&shown["passed"], &shown["failed"], &shown["not_run"]), (&json!(0), &json!(0), &json!(2)));
    };
    let service = service_over(store.clone(), &[("QUEUE_SIZE", "1")], &[]).await;
    let mut ids = Vec::new();
    for state in ["queued", "pending"] {
        let reply = submit(&service, "", &body).await;
        assert_eq!(reply.json()["status"], state);
        ids.push(reply.json()["id"].as_str().unwrap().to_owned());
    }
    for id in &ids {
        let place = format!("/v1/submissions/{id}");
        assert_eq!(service.request("DELETE", &place, "", b"").await.status, 200);
        untouched(&service.get(&place).await.json(), "cancelled");
    }
    let several = service.get(&format!("/v1/submissions:batch?ids={}", ids.join(","))).await.json();
    assert_eq!((&several["submissions"][1]["not_run"], &several["submissions"][1]["passed"]), (&json!(2), &json!(0)));
    // Without tests there is nothing to tell of.
    let plain = submit(&service, "", &json!({"language": "c", "source": "x"})).await.headers["location"].clone();
    service.request("DELETE", &plain, "", b"").await;
    assert_eq!(service.get(&plain).await.json().get("tests"), None);

    let cut_off = submit(&service, "", &body).await.headers["location"].clone();
    service.ledger.take().await.unwrap();
    for _ in 0..2 {
        service_over(store.clone(), &[], &[]).await.ledger.take().await.unwrap();
    }
    let service = service_over(store, &[], &[]).await;
    let shown = service.get(&cut_off).await.json();
    assert_eq!(shown["error"], "interrupted");
    untouched(&shown, "internal_error");
}

/// The answer comes with the end, not after the time.
#[tokio::test]
async fn waiting_for_the_end() {
    let service = Arc::new(service(&[]).await);
    let began = Instant::now();
    let waiting = {
        let service = Arc::clone(&service);
        tokio::spawn(async move { submit(&service, "?wait=30", &json!({"language": "c", "source": "x"})).await })
    };
    let job = service.ledger.take().await.unwrap().job;
    let second = {
        let (service, place) = (Arc::clone(&service), format!("/v1/submissions/{}?wait=30", job.id));
        tokio::spawn(async move { service.get(&place).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished() && !second.is_finished());
    service.ledger.finish(job.id, report(Verdict::Ok, b"x")).await;
    let (first, second) = (waiting.await.unwrap(), second.await.unwrap());
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!((first.status, second.status), (201, 200));
    assert_eq!((&first.json()["verdict"], &second.json()["run"]["stdout"]), (&json!("accepted"), &json!("x")));
    assert_eq!(first.headers["location"], format!("/v1/submissions/{}", job.id));
    // Nobody takes the next one.
    let began = Instant::now();
    let late = submit(&service, "?wait=0.3", &json!({"language": "c", "source": "x"})).await;
    assert_eq!((late.status, &late.json()["status"]), (202, &json!("queued")));
    assert!(began.elapsed() >= Duration::from_millis(300));
    let place = &late.headers["location"];
    assert_eq!(service.get(&format!("{place}?wait=0.1")).await.status, 200);
}

/// Neither a service that leaves nor a client who wants the place waits for those who wait.
#[tokio::test]
async fn nobody_is_held_up_by_those_who_wait() {
    let one = service(&[("CASEMATE_HTTP__CONNECTIONS", "1")]).await;
    let body = json!({"language": "c", "source": "x"}).to_string();
    let mut stream = TcpStream::connect(one.address).await.unwrap();
    let head =
        format!("POST /v1/submissions?wait=60 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    one.ledger.take().await.unwrap();
    let began = Instant::now();
    assert_eq!(one.get("/healthz").await.status, 200);
    assert!(began.elapsed() < Duration::from_secs(10));
    let mut told = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut told).await.unwrap();
    assert_eq!(Reply::parse(&told).status, 202);

    let service = Arc::new(service(&[]).await);
    let waiting = {
        let service = Arc::clone(&service);
        tokio::spawn(async move { submit(&service, "?wait=60", &json!({"language": "c", "source": "x"})).await })
    };
    service.ledger.take().await.unwrap();
    service.ledger.close();
    service.shutdown.leave();
    let reply = tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it waits on").unwrap();
    assert_eq!(reply.status, 202);
}

#[tokio::test]
async fn a_key_is_for_one_submission() {
    let service = service(&[]).await;
    let body = json!({"language": "c", "source": "x"}).to_string();
    let send =
        async |body: &str| service.request("POST", "/v1/submissions", "Idempotency-Key: k\r\n", body.as_bytes()).await;
    let (first, again) = (send(&body).await, send(&body).await);
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.json()["id"], again.json()["id"]);
    problem(&send(&body.replace('x', "y")).await, 409, "key_reused");
    assert_eq!(service.ledger.stats().submissions, 1);
    let bad = service.request("POST", "/v1/submissions", "Idempotency-Key: \r\n", body.as_bytes()).await;
    assert_eq!(problem(&bad, 400, "bad_key")["field"], "Idempotency-Key");
}

#[tokio::test]
async fn every_refusal_names_field_value_and_remedy() {
    let service = service(&[
        ("CASEMATE_CEILINGS__RUN__WALL_MS", "20000"),
        ("CASEMATE_LIMITS__C__RUN__WALL_MS", "1000"),
        ("CASEMATE_TESTS__MOST", "3"),
    ])
    .await;
    let with = |more: Value| {
        let mut body = json!({"language": "c", "source": "x"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (body, status, kind, field) in [
        (json!({"source": "x"}), 400, "malformed_request", "language"),
        (with(json!({"code": "x"})), 400, "malformed_request", "code"),
        (with(json!({"stdin": 7})), 400, "malformed_request", "stdin"),
        (with(json!({"language": "ruby"})), 422, "bad_value", "language"),
        (with(json!({"files": {"a": "x"}})), 422, "bad_value", "files"),
        (json!({"language": "c", "files": {"../a": "x"}}), 422, "bad_value", "files[\"../a\"]"),
        (with(json!({"env": {"A=": "x"}})), 422, "bad_value", "env[\"A=\"]"),
        (with(json!({"expected": "", "compare": {"exact": null}})), 400, "malformed_request", "compare.exact"),
        (json!({"language": "cpp", "files": {"a.h": "x"}}), 422, "bad_value", "entry"),
        (with(json!({"limits": {"compile": {}}})), 422, "bad_value", "limits.compile"),
        (with(json!({"limits": {"run": {"wall_ms": 20_001}}})), 422, "out_of_range", "limits.run.wall_ms"),
        (with(json!({"limits": {"run": {"memory_bytes": 1}}})), 422, "out_of_range", "limits.run.memory_bytes"),
        (with(json!({"tests": [{"input": "x"}]})), 400, "malformed_request", "tests[0].input"),
        (with(json!({"tests": [], "stdin": ""})), 422, "bad_value", "stdin"),
        (with(json!({"tests": []})), 422, "bad_value", "tests"),
        (with(json!({"tests": vec![json!({}); 4]})), 422, "bad_value", "tests"),
        (with(json!({"tests": [{}, {"args": ["\0"]}]})), 422, "bad_value", "tests[1].args[0]"),
        (with(json!({"tests": [{}, {"limits": {"wall_ms": 20_001}}]})), 422, "out_of_range", "tests[1].limits.wall_ms"),
        (with(json!({"expected": "", "streams": "merged"})), 422, "bad_value", "expected"),
        (with(json!({"collect": "out"})), 400, "malformed_request", "collect"),
        (with(json!({"collect": ["out", "../out"]})), 422, "bad_value", "collect[1]"),
        (
            with(json!({"expected": "", "compare": {"floats": {"absolute": -1}}})),
            422,
            "bad_value",
            "compare.floats.absolute",
        ),
    ] {
        let document = problem(&submit(&service, "", &body).await, status, kind);
        assert_eq!(document["field"], field, "{body}: {document:#}");
        let [detail, remedy] = ["detail", "remedy"].map(|member| document[member].as_str().unwrap());
        assert!(detail.starts_with(field) && !detail.contains(remedy), "{document:#}");
    }
    // The value where it can be shown, also an empty one; nothing where it cannot.
    for (body, value) in [
        (with(json!({"env": {"": "x"}})), Some(&json!(""))),
        (with(json!({"language": ""})), Some(&json!(""))),
        (with(json!({"files": {}})), None),
        (with(json!({"tests": [{}], "stdin": ""})), None),
    ] {
        let document = problem(&submit(&service, "", &body).await, 422, "bad_value");
        assert_eq!(document.get("value"), value, "{document:#}");
    }
    let above = submit(&service, "", &with(json!({"limits": {"run": {"wall_ms": 20_001}}}))).await;
    let document = problem(&above, 422, "out_of_range");
    assert_eq!(
        (&document["value"], &document["ceiling"], &document["least"]),
        (&json!("20001"), &json!(20_000), &json!(1))
    );
    let patient = problem(&submit(&service, "?wait=61", &with(json!({}))).await, 422, "out_of_range");
    assert_eq!(
        (&patient["field"], &patient["value"], &patient["least"], &patient["ceiling"]),
        (&json!("?wait"), &json!("61"), &json!(0), &json!(60))
    );
    for query in ["?wait=x", "?weight=1", "?wait=1&wait=1"] {
        let document = problem(&submit(&service, query, &with(json!({}))).await, 400, "malformed_request");
        assert!(document["field"].as_str().unwrap().starts_with("?w"), "{document:#}");
    }
    assert_eq!(service.ledger.stats().submissions, 0);
}

#[tokio::test]
async fn paths_methods_and_bodies() {
    let service = service(&[("CASEMATE_HTTP__SUBMISSION_BYTES", "1000")]).await;
    for (method, path, allow) in [
        ("PUT", "/v1/submissions", "GET, HEAD, POST, OPTIONS"),
        ("POST", "/v1/submissions/6423259c-ee14-45aa-9c90-d5e989f92aa1", "GET, HEAD, DELETE, OPTIONS"),
    ] {
        let reply = service.request(method, path, "", b"").await;
        problem(&reply, 405, "unknown_method");
        assert_eq!(reply.headers["allow"], allow);
        assert_eq!(service.request("OPTIONS", path, "", b"").await.status, 200);
    }
    // Where a route has no parameters, each is one too many.
    let id = submit(&service, "", &json!({"language": "c", "source": "x"})).await.json()["id"].clone();
    let one = format!("/v1/submissions/{}", id.as_str().unwrap());
    for (method, path) in [("GET", "/v1/languages"), ("DELETE", one.as_str()), ("GET", &*format!("{one}/events"))] {
        let reply = service.request(method, &format!("{path}?x=1"), "", b"").await;
        let document = problem(&reply, 400, "malformed_request");
        assert_eq!(
            (&document["field"], &document["remedy"]),
            (&json!("?x"), &json!("leave it out; there are none here"))
        );
    }
    assert_eq!(service.get(&one).await.json()["status"], "queued");
    for path in ["/v1/", "/v1/x", "/v1/submissions/x/y", "/v1/submission"] {
        problem(&service.get(path).await, 404, "unknown_path");
    }
    for id in ["6423259c-ee14-45aa-9c90-d5e989f92aa1", "x", "", "6423259C-EE14-45AA-9C90-D5E989F92AA1"] {
        for method in ["GET", "DELETE"] {
            let reply = service.request(method, &format!("/v1/submissions/{id}"), "", b"").await;
            problem(&reply, 404, "unknown_submission");
        }
    }
    let large = json!({"language": "c", "source": "x".repeat(1000)});
    let reply = submit(&service, "", &large).await;
    problem(&reply, 413, "too_large");
    // The other route has a bound of its own.
    service.accepted(&json!({"language": "c", "code": "x".repeat(1000)}).to_string()).await;
    service.ledger.close();
    let reply = submit(&service, "", &json!({"language": "c", "source": "x"})).await;
    problem(&reply, 503, "shutting_down");
    assert_eq!(reply.headers["retry-after"], "1");
}

/// What `GET` answers, without its content (RFC 9110, 9.3.2).
#[tokio::test]
async fn head_is_get_without_content() {
    let service = service(&[("CASEMATE_HTTP__LISTENERS", "1")]).await;
    let place = submit(&service, "", &json!({"language": "c", "source": "x"})).await.headers["location"].clone();
    let id = place.rsplit('/').next().unwrap();
    let foreign = "Origin: https://a.example\r\n";
    for path in [
        "/openapi.json",
        "/v1/languages",
        "/v1/submissions",
        "/v1/submissions?x=1",
        "/v1/submissions/x",
        &place,
        &format!("/v1/submissions:batch?ids={id}"),
    ] {
        let (get, head) =
            (service.request("GET", path, foreign, b"").await, service.request("HEAD", path, foreign, b"").await);
        assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
        let without_date = |reply: &Reply| {
            let headers = reply.headers.iter().filter(|(name, _)| *name != "date");
            headers.map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
        };
        assert_eq!(without_date(&head), without_date(&get), "{path}");
    }
    // There is room for one who follows; each of these gave it back.
    for _ in 0..3 {
        let head = service.request("HEAD", &format!("{place}/events"), "", b"").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{head:?}");
        assert_eq!(head.headers["content-type"], "text/event-stream");
    }
    assert_eq!(service.ledger.stats().submissions, 1);
}

/// A body that is compressed is told as such; taken as it is it would be no JSON at best.
#[tokio::test]
async fn a_body_comes_as_it_is() {
    let service = service(&[]).await;
    let one = r#"{"language":"c","source":"x"}"#;
    let batch = format!(r#"{{"submissions":[{one}]}}"#);
    for (path, body) in [("/v1/submissions", one), ("/v1/submissions:batch", batch.as_str())] {
        for coding in ["gzip", "identity, br", "GZIP\r\nContent-Encoding: identity"] {
            let headers = format!("Content-Encoding: {coding}\r\n");
            let reply = service.request("POST", path, &headers, body.as_bytes()).await;
            let document = problem(&reply, 415, "unknown_encoding");
            assert_eq!(
                (&document["field"], reply.headers["accept-encoding"].as_str()),
                (&json!("Content-Encoding"), "identity")
            );
            assert!(coding.contains(document["value"].as_str().unwrap()), "{document:#}");
        }
        let reply = service.request("POST", path, "Content-Encoding: Identity\r\n", body.as_bytes()).await;
        assert!(matches!(reply.status, 200 | 202), "{reply:?}");
    }
    // The contract says nothing of it.
    let monaco = service.request("POST", "/submit", "Content-Encoding: gzip\r\n", br#"{"code":"x"}"#).await;
    assert_eq!(monaco.status, 202);
}

/// Output of any size and content comes out as it was, through both encodings.
#[tokio::test]
async fn large_outputs() {
    use base64::Engine as _;
    let service = service(&[]).await;
    let text = "é\"\\\n\0x".repeat(200_000).into_bytes();
    let bytes: Vec<u8> = (0..=255_u8).cycle().take(1_000_001).collect();
    for printed in [text, bytes, Vec::new()] {
        let place = submit(&service, "", &json!({"language": "c", "source": "x"})).await.headers["location"].clone();
        let job = service.ledger.take().await.unwrap().job;
        service.ledger.finish(job.id, report(Verdict::Ok, &printed)).await;
        let shown = service.get(&place).await.json();
        let stdout = shown["run"]["stdout"].as_str().unwrap();
        let out = match shown["run"]["stdout_encoding"].as_str() {
            Some("base64") => base64::engine::general_purpose::STANDARD.decode(stdout).unwrap(),
            _ => stdout.as_bytes().to_vec(),
        };
        assert!(out == printed, "{} bytes became {}", printed.len(), out.len());
    }
}
