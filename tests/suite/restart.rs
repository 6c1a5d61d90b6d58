//! What a service leaves to the next one on the same home: after `kill -9`, after SIGTERM, and when it may not start.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::machine::Place;
use crate::support::{Client, Runtime, Server, Settings, shape};
use crate::{needs, program, support::Need, under_both_runtimes};

const PATIENCE: Duration = Duration::from_secs(60);

fn outputs(client: Client, ids: &[String]) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    let seen = ids.iter().map(|id| {
        let seen = client.finish(id, deadline).unwrap_or_else(|why| panic!("{id}: {why}"));
        assert_eq!(shape::ended(id, "python", &seen), Vec::<String>::new());
        seen.output().to_owned()
    });
    seen.collect()
}

/// Killed at once: results stay as they were, what waited keeps its order and time, what ran runs again.
fn a_killed_server_loses_nothing(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("MAX_WORKERS", 1).set("QUEUE_SIZE", 2);
    let server = Server::start(&settings);
    let client = server.client();
    let ended = client.submit("python", "print('x' * 100000)", None);
    outputs(client, std::slice::from_ref(&ended));
    let before = client.result(&ended);
    let code = |n: usize| format!("import time\ntime.sleep(0.7)\nprint({n})");
    let ids: Vec<_> = (0..6).map(|n| client.submit("python", &code(n), None)).collect();
    client.until(&ids[0], Instant::now() + PATIENCE, |state| state == "running").expect("a start");
    let queued_at: Vec<Value> = ids.iter().map(|id| client.status(id)["queuedAt"].clone()).collect();

    let home = server.leave(Signal::SIGKILL);
    let server = Server::start_at(&settings, home);
    let client = server.client();
    assert_eq!(client.result(&ended), before);
    assert_eq!(client.stats()[3], 7);
    let expected: Vec<_> = (0..6).map(|n| format!("{n}\n")).collect();
    assert_eq!(outputs(client, &ids), expected);
    assert_eq!(ids.iter().map(|id| client.status(id)["queuedAt"].clone()).collect::<Vec<_>>(), queued_at);
    let started: Vec<_> = ids.iter().map(|id| client.status(id)["startedAt"].as_str().map(str::to_owned)).collect();
    assert!(started.is_sorted(), "{started:?}");
}

/// A job during which the service is killed each time is given up after the third.
fn a_job_is_cut_off_three_times_at_most(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("MAX_WORKERS", 1);
    let mut server = Server::start(&settings);
    let [bad, good] =
        ["import time\ntime.sleep(8)", "print('good')"].map(|code| server.client().submit("python", code, None));
    for _ in 0..3 {
        server.client().until(&bad, Instant::now() + PATIENCE, |state| state == "running").expect("a start");
        // The note of it is durable a moment later.
        std::thread::sleep(Duration::from_millis(300));
        server = Server::start_at(&settings, server.leave(Signal::SIGKILL));
    }
    assert_eq!(outputs(server.client(), &[bad, good]), ["Internal error: interrupted", "good\n"]);
}

/// 50 jobs in all states, SIGTERM, and every one of them has an answer in the end.
fn a_shutdown_answers_everyone(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("QUEUE_SIZE", 10).set("CASEMATE_SHUTDOWN_MS", 1500);
    let server = Server::start(&settings);
    let client = server.client();
    let code = |n: usize| match n {
        0..5 => format!("print({n})"),
        // Two that end in time and one that does not; the rest waits.
        5 | 6 => format!("import time\ntime.sleep(0.8)\nprint({n})"),
        7 => format!("import time\ntime.sleep(4)\nprint({n})"),
        _ => format!("print({n})"),
    };
    let ids: Vec<_> = (0..50).map(|n| client.submit("python", &code(n), None)).collect();
    let deadline = Instant::now() + PATIENCE;
    client.until(&ids[7], deadline, |state| state == "running").expect("a start");
    let running = |n: usize| client.status(&ids[n])["status"] == "running";
    let began: Vec<_> = [5, 6, 7].into_iter().filter(|n| running(*n)).collect();
    let ended: Vec<_> = (0..5).map(|n| client.result(&ids[n])).collect();
    assert!(ended.iter().all(|result| result["status"] == "completed"), "{ended:?}");

    let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
    kill(pid, Signal::SIGTERM).expect("a signal");
    let told = Instant::now() + Duration::from_secs(1);
    while client.get("/readyz").status == 200 {
        assert!(Instant::now() < told, "it still says that it is ready");
    }
    let ready = client.get("/readyz");
    assert_eq!((ready.status, ready.text().as_str()), (503, "Shutting down\n"));
    assert_eq!(client.get("/healthz").status, 200);
    let refused = client.post("/submit", br#"{"code":"print(1)"}"#);
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "{}", refused.text());
    assert_eq!(client.result(&ids[0]), ended[0]);

    // An exit status of 0 is told by `stop`, which signals a second time: by then the first deadline is near.
    let mut server = server;
    assert_eq!(server.stop().map(|status| status.code()), Some(Some(0)), "{}", server.log());
    assert!(
        began.contains(&7) && server.log().contains(&format!("{} waits for the next start", ids[7])),
        "{}",
        server.log()
    );
    let server = Server::start_at(&settings.set("CASEMATE_SHUTDOWN_MS", 20000), server.leave(Signal::SIGTERM));
    let expected: Vec<_> = (0..50).map(|n| format!("{n}\n")).collect();
    assert_eq!(outputs(server.client(), &ids), expected);
    for (result, id) in ended.iter().zip(&ids) {
        assert_eq!(server.client().result(id), *result);
    }
    assert_eq!(server.client().stats()[3], 50);
}

/// A second SIGTERM does not wait for the deadline; what is cut off runs after the next start.
fn a_second_signal_hurries(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("CASEMATE_SHUTDOWN_MS", 600_000);
    let settings = settings.limit(&["python"], "RUN", "WALL_MS", 600_000);
    let mut server = Server::start(&settings);
    let id = server.client().submit("python", "import time\ntime.sleep(600)", None);
    let runs = |client: Client| client.until(&id, Instant::now() + PATIENCE, |state| state == "running");
    runs(server.client()).expect("a start");
    let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
    kill(pid, Signal::SIGTERM).expect("a signal");
    let told = Instant::now() + PATIENCE;
    while server.client().get("/readyz").status == 200 {
        assert!(Instant::now() < told, "it still says that it is ready");
    }
    assert_eq!(server.client().status(&id)["status"], "running");
    assert_eq!(server.stop().map(|status| status.code()), Some(Some(0)), "{}", server.log());
    assert!(server.log().contains(&format!("{id} waits for the next start")), "{}", server.log());
    let server = Server::start_at(&settings, server.leave(Signal::SIGTERM));
    runs(server.client()).expect("another start");
    let cancelled = server.client().send("DELETE", &format!("/v1/submissions/{id}"), &[], b"").expect("a reply");
    assert!(matches!(cancelled.status, 200 | 202), "{}", cancelled.text());
    assert_eq!(outputs(server.client(), std::slice::from_ref(&id)), ["\ncancelled"]);
}

/// Processes of a dead service that have used up their share need some more of it to die; the next start sees to that.
fn a_crowd_without_its_share_holds_up_no_start(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("MAX_WORKERS", 2).limit(&["c"], "RUN", "CPU_PERCENT", 1);
    let server = Server::start(&settings);
    let client = server.client();
    let ids = [0, 1].map(|_| client.submit("c", program!("c/spinning_crowd.c"), None));
    for id in &ids {
        client.until(id, Instant::now() + PATIENCE, |state| state == "running").expect("a start");
    }
    // A hundredth of a second in each second is soon used up; nothing tells when.
    std::thread::sleep(Duration::from_secs(2));
    let server = Server::start_at(&settings, server.leave(Signal::SIGKILL));
    assert_eq!(server.client().stats()[3], 2);
}

/// Neither a second service nor a damaged file: the start stops with words that say what to do.
fn a_store_that_cannot_be_used_stops_the_start(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime);
    let server = Server::start(&settings);
    server.client().run("python", "print(1)", None);
    let home = server.leave(Signal::SIGTERM);
    let file = home.path().join("store/submissions.redb");
    let whole = fs::read(&file).expect("the store");
    fs::write(&file, &whole[..whole.len() / 2]).expect("the store");
    let failed = Server::try_start_at(&settings, &[], Place::shared(), home).expect_err("a start on half a store");
    assert_eq!(failed.status.and_then(|status| status.code()), Some(1), "{}", failed.log);
    assert!(failed.log.contains("submissions.redb is damaged"), "{}", failed.log);
}

under_both_runtimes!(
    a_killed_server_loses_nothing,
    a_job_is_cut_off_three_times_at_most,
    a_shutdown_answers_everyone,
    a_second_signal_hurries,
    a_store_that_cannot_be_used_stops_the_start,
    a_crowd_without_its_share_holds_up_no_start,
);
