//! Several submissions at once, with real jobs: one write of the store, an answer for each, and all asked for at once.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::prometheus::Page;
use crate::support::{Client, Runtime, Server, Settings, scale};
use crate::{needs, support::Need, under_both_runtimes};

fn submit(client: Client, headers: &[(&str, &str)], batch: &[Value]) -> Vec<Value> {
    let body = json!({"submissions": batch}).to_string();
    let reply = client.send("POST", "/v1/submissions:batch", headers, body.as_bytes()).expect("a reply");
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["submissions"].as_array().expect("a list").clone()
}

/// All of them once each has ended.
fn ended(client: Client, ids: &[String]) -> Vec<Value> {
    let deadline = Instant::now() + scale::patience(Duration::from_secs(120));
    loop {
        let reply = client.get(&format!("/v1/submissions:batch?wait=5&ids={}", ids.join(",")));
        assert_eq!(reply.status, 200, "{}", reply.text());
        let all = reply.json()["submissions"].as_array().expect("a list").clone();
        if all.iter().all(|one| !one["ended_at"].is_null()) {
            return all;
        }
        assert!(Instant::now() < deadline, "{all:#?}");
    }
}

fn ids(answers: &[Value]) -> Vec<String> {
    answers.iter().filter_map(|answer| answer["id"].as_str().map(str::to_owned)).collect()
}

fn commits(client: Client) -> [f64; 2] {
    let page = Page::parse(&client.get("/metrics").text());
    ["casemate_store_commit_seconds_count", "casemate_store_commit_changes_sum"].map(|name| page.get(name))
}

fn a_batch_is_one_write_and_each_has_its_own_end(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime));
    let client = server.client();
    // A worker takes none of these before all are kept, however fast it is.
    let before = commits(client);
    let mut batch: Vec<Value> =
        (0..30).map(|n| json!({"language": "python", "source": format!("print({n})")})).collect();
    batch[7] = json!({"language": "python", "source": "raise SystemExit(7)"});
    batch[8] = json!({"language": "python"});
    batch[9] = json!({"language": "c", "source": "int main(void) { return }"});
    let answers = submit(client, &[], &batch);
    let kept = commits(client);
    // The first may have been taken, and even have ended, meanwhile.
    assert!(kept[1] - before[1] >= 29.0 && kept[0] - before[0] <= 4.0, "{before:?} {kept:?}");
    assert_eq!((&answers[8]["id"], &answers[8]["problem"]["field"]), (&Value::Null, &json!("source")));
    let ids = ids(&answers);
    assert_eq!(ids.len(), 29);
    let all = ended(client, &ids);
    let verdicts: Vec<_> = all.iter().map(|one| one["verdict"].as_str().expect("a verdict")).collect();
    assert_eq!((verdicts[7], verdicts[8]), ("exit_status", "compile_error"), "{all:#?}");
    assert_eq!(verdicts.iter().filter(|word| **word == "accepted").count(), 27, "{all:#?}");
    let last = client.get(&format!("/v1/submissions/{}", ids[28])).json();
    assert_eq!(last["run"]["stdout"], "29\n", "{last:#}");
    assert_eq!(last["queued_at"], all[28]["queued_at"]);
}

/// Repeated under its key after a crash, a batch answers with the ids of before and runs nothing twice.
fn a_batch_outlives_a_crash(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("MAX_WORKERS", 1);
    let server = Server::start(&settings);
    let batch: Vec<Value> = (0..5)
        .map(|n| json!({"language": "python", "source": format!("import time; time.sleep(0.3); print({n})")}))
        .collect();
    let key = [("Idempotency-Key", "night")];
    let first = ids(&submit(server.client(), &key, &batch));
    let server = Server::start_at(&settings, server.leave(Signal::SIGKILL));
    let client = server.client();
    assert_eq!(ids(&submit(client, &key, &batch)), first);
    let all = ended(client, &first);
    assert!(all.iter().all(|one| one["verdict"] == "accepted"), "{all:#?}");
    assert_eq!(client.stats()[3], 5);
}

under_both_runtimes!(a_batch_is_one_write_and_each_has_its_own_end, a_batch_outlives_a_crash);
