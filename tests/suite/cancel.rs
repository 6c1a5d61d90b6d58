//! `DELETE /v1/submissions/{id}`: what waits is gone, what runs is killed, what has ended stays.

use std::time::{Duration, Instant};

use crate::support::client::Reply;
use crate::support::{Client, Runtime, Server, Settings, scale};
use crate::{needs, support::Need, under_both_runtimes};

fn delete(client: Client, id: &str) -> Reply {
    client.send("DELETE", &format!("/v1/submissions/{id}"), &[], b"").expect("a reply")
}

fn jobs_are_cancelled_in_every_state(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("MAX_WORKERS", 1).set("QUEUE_SIZE", 1));
    let client = server.client();
    let deadline = Instant::now() + Duration::from_secs(30);
    let ended = client.submit("python", "print('done')", None);
    client.finish(&ended, deadline).expect("an end");
    let sleeping = "import time\nprint('zzz', flush=True)\ntime.sleep(9)";
    let [running, queued, pending, last] =
        [sleeping, "print(1)", "print(2)", "print('last')"].map(|code| client.submit("python", code, None));
    client.until(&running, deadline, |state| state == "running").expect("a start");
    assert_eq!(
        (client.status(&queued)["status"].as_str(), client.status(&pending)["status"].as_str()),
        (Some("queued"), Some("pending"))
    );

    for id in [&pending, &queued, &queued] {
        let reply = delete(client, id);
        assert_eq!((reply.status, &reply.json()["status"]), (200, &"failed".into()), "{}", reply.text());
        let result = client.result(id);
        assert_eq!((&result["output"], result.get("startedAt")), (&"\ncancelled".into(), None), "{result}");
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(client.status(&last)["status"], "queued");
    let began = Instant::now();
    let told = delete(client, &running);
    assert!(matches!(told.status, 200 | 202), "{}", told.text());
    let seen = client.finish(&running, deadline).expect("an end");
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    assert!(seen.state() == "failed" && seen.output().ends_with("\ncancelled"), "{}", seen.result);
    assert_eq!(client.finish(&last, deadline).expect("an end").output(), "last\n");

    let before = [&ended, &running, &queued].map(|id| client.result(id));
    for id in [&ended, &running, &queued] {
        assert_eq!(delete(client, id).status, 200);
    }
    assert_eq!(before, [&ended, &running, &queued].map(|id| client.result(id)));
    assert_eq!(client.stats(), [0, 1, 0, 5]);
    for unknown in ["6423259c-ee14-45aa-9c90-d5e989f92aa1", "x", "", &ended.to_uppercase()] {
        let reply = delete(client, unknown);
        let problem = (reply.status, reply.header("content-type"), &reply.json()["type"]);
        let unknown_submission = "urn:casemate:problem:unknown_submission".into();
        assert_eq!(problem, (404, Some("application/problem+json"), &unknown_submission), "{unknown}");
    }
    let wrong = client.send("PUT", &format!("/v1/submissions/{ended}"), &[], b"").expect("a reply");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("GET, HEAD, DELETE, OPTIONS")));
}

/// Many cancel the same jobs at once, again and again, while more come: each job has one end, and nobody else waits.
fn a_storm_of_cancellations(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime));
    let client = server.client();
    let submit =
        |n: usize| client.submit("python", &format!("import time\nprint({n}, flush=True)\ntime.sleep(60)"), None);
    let ids: Vec<_> = (0..100).map(submit).collect();
    let mut slowest = Duration::ZERO;
    std::thread::scope(|scope| {
        let storm = || {
            for id in ids.iter().chain(ids.iter().rev()) {
                let reply = delete(client, id);
                assert!(matches!(reply.status, 200 | 202), "{}", reply.text());
            }
        };
        let storms: Vec<_> = (0..8).map(|_| scope.spawn(storm)).collect();
        while !storms.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let began = Instant::now();
            client.status(&ids[0]);
            slowest = slowest.max(began.elapsed());
        }
    });
    let deadline = Instant::now() + scale::patience(Duration::from_secs(30));
    for id in &ids {
        let seen = client.finish(id, deadline).expect("an end");
        assert!(seen.state() == "failed" && seen.output().ends_with("\ncancelled"), "{}", seen.result);
    }
    println!("slowest /status during the storm: {slowest:?}");
    assert!(slowest < scale::patience(Duration::from_secs(2)), "/status took {slowest:?}");
    assert_eq!(client.run("python", "print('well')", None).output(), "well\n");
    assert_eq!(client.stats()[2], 0, "{:?}", client.stats());
}

/// What it had printed by then is in its result.
fn the_output_of_a_cancelled_job_is_kept(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut seen = String::new();
    // Nobody outside can see when it has printed: it gets more time with each try.
    for milliseconds in [200, 500, 1000, 2000, 4000, 8000] {
        let id = client.submit("python", "import time\nprint('zzz', flush=True)\ntime.sleep(9)", None);
        client.until(&id, deadline, |state| state == "running").expect("a start");
        std::thread::sleep(Duration::from_millis(milliseconds));
        delete(client, &id);
        seen = client.finish(&id, deadline).expect("an end").output().to_owned();
        if seen != "\ncancelled" {
            break;
        }
    }
    assert_eq!(seen, "zzz\n\ncancelled");
}

under_both_runtimes!(
    jobs_are_cancelled_in_every_state,
    a_storm_of_cancellations,
    the_output_of_a_cancelled_job_is_kept
);
