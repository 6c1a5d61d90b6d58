//! Several submissions at once, on the wire, with a worker made of the test.

use casemate::model::{About, Beside, Streams, Verdict};
use serde_json::{Value, json};

use super::wire::{Reply, Service, assert_cors, report, service};

async fn submit(service: &Service, headers: &str, submissions: &Value) -> Reply {
    let body = json!({"submissions": submissions}).to_string();
    service.request("POST", "/v1/submissions:batch", headers, body.as_bytes()).await
}

fn answers(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_cors(reply);
    reply.json()["submissions"].as_array().unwrap().clone()
}

/// The ids, with the kind of problem where there is none.
fn told(answers: &[Value]) -> Vec<String> {
    let one = |answer: &Value| {
        let kind = answer["problem"]["type"].as_str().map(|kind| kind.replace("urn:casemate:problem:", ""));
        kind.unwrap_or_else(|| answer["id"].as_str().unwrap().to_owned())
    };
    answers.iter().map(one).collect()
}

fn problem(reply: &Reply, status: u16, kind: &str) -> Value {
    assert_eq!(reply.headers["content-type"], "application/problem+json", "{reply:?}");
    let document: Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((reply.status, &document["type"]), (status, &json!(format!("urn:casemate:problem:{kind}"))));
    document
}

#[tokio::test]
async fn each_is_answered_on_its_own_in_order() {
    let service = service(&[]).await;
    let batch = json!([
        {"language": "c", "source": "first"},
        {"language": "ruby", "source": "x"},
        {"language": "c", "source": "x", "limits": {"run": {"wall_ms": 0}}},
        7,
        {"language": "python", "source": "second", "stdin": "in"},
        {"language": "c"},
    ]);
    let answers = answers(&submit(&service, "", &batch).await);
    let shown = told(&answers);
    assert_eq!(
        [1, 2, 3, 5].map(|at| shown[at].as_str()),
        ["bad_value", "out_of_range", "malformed_request", "bad_value"]
    );
    assert_eq!((&answers[1]["id"], &answers[1]["problem"]["field"]), (&Value::Null, &json!("language")));
    assert_eq!((&answers[2]["problem"]["ceiling"], &answers[2]["problem"]["status"]), (&json!(60_000), &json!(422)));
    assert_eq!(
        (&answers[0]["problem"], &answers[0]["location"]),
        (&Value::Null, &json!(format!("/v1/submissions/{}", shown[0])))
    );
    for (at, source) in [(0, "first"), (4, "second")] {
        let job = service.ledger.take().await.unwrap().job;
        assert_eq!((job.id.to_string(), job.source.as_str()), (shown[at].clone(), source));
    }
    assert_eq!(service.ledger.stats().submissions, 2);
}

#[tokio::test]
async fn what_is_no_batch_is_refused_as_a_whole() {
    let service = service(&[("CASEMATE_HTTP__BATCH", "2"), ("CASEMATE_HTTP__SUBMISSION_BYTES", "1000")]).await;
    let one = json!({"language": "c", "source": "x"});
    let document = problem(&submit(&service, "", &json!([one, one, one])).await, 422, "bad_value");
    assert_eq!((&document["field"], &document["value"]), (&json!("submissions"), &json!("3")));
    assert!(document["remedy"].as_str().unwrap().contains("at most 2"));
    problem(&submit(&service, "", &json!([])).await, 422, "bad_value");
    problem(&submit(&service, "", &json!({})).await, 400, "malformed_request");
    problem(&submit(&service, "", &json!([{"language": "c", "source": "x".repeat(1000)}])).await, 413, "too_large");
    problem(&submit(&service, "Idempotency-Key: \r\n", &json!([one])).await, 400, "bad_key");
    let path = "/v1/submissions:batch";
    for body in ["", "[]", r#"{"submission":[]}"#, r#"{"submissions":[],"wait":1}"#, r#"{"submissions":[{]}"#] {
        problem(&service.request("POST", path, "", body.as_bytes()).await, 400, "malformed_request");
    }
    problem(&service.request("POST", &format!("{path}?wait=1"), "", b"{}").await, 400, "malformed_request");
    let ids = ["6423259c-ee14-45aa-9c90-d5e989f92aa1"; 3].join(",");
    problem(&service.get(&format!("{path}?ids={ids}")).await, 422, "bad_value");
    for query in ["", "?ids=", "?ids=,"] {
        problem(&service.get(&format!("{path}{query}")).await, 422, "bad_value");
    }
    for query in ["?ids=a&ids=b", "?id=a", "?ids=a&wait=x"] {
        problem(&service.get(&format!("{path}{query}")).await, 400, "malformed_request");
    }
    assert_eq!(service.request("DELETE", path, "", b"").await.headers["allow"], "GET, HEAD, POST, OPTIONS");
    assert_eq!(service.ledger.stats().submissions, 0);
}

#[tokio::test]
async fn a_repeated_batch_is_not_submitted_again() {
    let service = service(&[]).await;
    let batch =
        json!([{"language": "c", "source": "1"}, {"language": "no", "source": "x"}, {"language": "c", "source": "2"}]);
    let key = "Idempotency-Key: night shift\r\n";
    let first = told(&answers(&submit(&service, key, &batch).await));
    assert_eq!(told(&answers(&submit(&service, key, &batch).await)), first);
    assert_eq!(service.ledger.stats().submissions, 2);
    for other in [json!([{"language": "c", "source": "3"}]), json!([batch[0], batch[1]])] {
        problem(&submit(&service, key, &other).await, 409, "key_reused");
    }
    assert_ne!(told(&answers(&submit(&service, "", &batch).await)), first);
    assert_eq!(service.ledger.stats().submissions, 4);
    // A key of one submission is another one.
    let single = json!({"language": "c", "source": "1"}).to_string();
    assert_eq!(service.request("POST", "/v1/submissions", key, single.as_bytes()).await.status, 202);
}

/// The first for which there is no place and all after it are refused; repeated, they are accepted once there is.
#[tokio::test]
async fn a_full_queue_takes_the_first_of_a_batch() {
    let service = service(&[("CASEMATE_MAX_PENDING", "2")]).await;
    let batch = json!([{"language": "c", "source": "1"}, {"language": "c", "source": "2"}, {"language": "c", "source": "3"}, {"language": "c", "source": "4"}]);
    let key = "Idempotency-Key: k\r\n";
    let first = told(&answers(&submit(&service, key, &batch).await));
    assert_eq!((first[2].as_str(), first[3].as_str()), ("queue_full", "queue_full"));
    service.ledger.take().await.unwrap();
    let second = told(&answers(&submit(&service, key, &batch).await));
    assert_eq!((&second[..2], second[3].as_str()), (&first[..2], "queue_full"));
    assert_eq!(service.ledger.stats().submissions, 3);
    service.ledger.close();
    let closed = told(&answers(&submit(&service, "", &batch).await));
    assert_eq!(closed, ["shutting_down"; 4]);
}

#[tokio::test]
async fn many_are_asked_for_at_once() {
    let service = service(&[]).await;
    let batch = json!([{"language": "c", "source": "1"}, {"language": "python", "source": "2"},
        {"language": "c", "source": "3", "tests": [{}, {}, {}, {}], "stop_on_failure": true}]);
    let ids = told(&answers(&submit(&service, "", &batch).await));
    let unknown = "6423259c-ee14-45aa-9c90-d5e989f92aa1";
    let target = format!("/v1/submissions:batch?ids={},{unknown},{},x", ids[0], ids[1]);
    let seen = answers(&service.get(&target).await);
    assert_eq!((&seen[0]["status"], &seen[0]["verdict"]), (&json!("queued"), &Value::Null));
    assert_eq!((&seen[1]["id"], &seen[1]["problem"]["status"]), (&json!(unknown), &json!(404)));
    assert_eq!((&seen[2]["id"], &seen[2]["language"]), (&json!(ids[1]), &json!("python")));
    assert_eq!((&seen[3]["id"], &seen[3]["problem"]["status"]), (&json!("x"), &json!(404)));
    let waited = target.replacen('?', "?wait=20&", 1);
    let (waiting, worked) = tokio::join!(service.get(&waited), async {
        for verdict in [Verdict::Ok, Verdict::TimeLimit] {
            let job = service.ledger.take().await.unwrap().job;
            service.ledger.finish(job.id, report(verdict, b"printed")).await;
        }
    });
    let ((), seen) = (worked, answers(&waiting));
    assert_eq!((&seen[0]["status"], &seen[0]["verdict"]), (&json!("completed"), &json!("accepted")));
    assert_eq!((&seen[2]["verdict"], &seen[2]["limit"]), (&json!("time_limit"), &json!("wall_ms")));
    // Every member is that of the whole document, but for what was printed.
    let whole = service.get(&format!("/v1/submissions/{}", ids[1])).await.json();
    for (name, value) in seen[2].as_object().unwrap() {
        // `whole` has no counts where there are no tests.
        assert_eq!(whole[name], *value, "{name}");
    }
    assert!(!seen[2].to_string().contains("printed"));
    // Of tests, how many: not of those that have none, and not before the end.
    let counts = |one: &Value| ["passed", "failed", "not_run"].map(|name| one[name].as_u64());
    let target = format!("/v1/submissions:batch?ids={},{}", ids[0], ids[2]);
    assert!(
        answers(&service.get(&target).await).iter().all(|one| counts(one) == [None; 3] && one.get("passed").is_some())
    );
    let job = service.ledger.take().await.unwrap().job;
    let mut made = report(Verdict::Ok, b"printed");
    made.runs.extend([Verdict::Ok, Verdict::WrongAnswer].map(|verdict| report(verdict, b"printed").runs.remove(0)));
    let beside = Beside { name: None, files: vec![], checker: None };
    let [runtime, image, image_digest] = ["crun version 1", "gcc", "ab"].map(|text| Some(text.to_owned()));
    let (streams, runs) = (Streams::Separate, vec![beside; 4]);
    made.about = Some(About { runtime, image, image_digest, streams, tests: true, runs });
    service.ledger.finish(job.id, made).await;
    let seen = answers(&service.get(&target).await);
    assert_eq!([counts(&seen[0]), counts(&seen[1])], [[None; 3], [Some(2), Some(1), Some(1)]]);
    let whole = service.get(&format!("/v1/submissions/{}", ids[2])).await.json();
    assert_eq!(counts(&whole), counts(&seen[1]));
}
