//! `pending`, `queued`, `running`, ended: seen for real, in the order of submission, and final.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::support::{Runtime, Server, Settings, shape};
use crate::{needs, support::Need, under_both_runtimes};

const RANKS: [&str; 5] = ["pending", "queued", "running", "completed", "failed"];

/// Between two looks. Clients that ask without any, and their servers, take both processors of a small machine: a container then
/// waited over ten seconds for its turn.
const ASKING: Duration = Duration::from_millis(2);

fn rank(state: &str) -> usize {
    RANKS.iter().position(|known| *known == state).unwrap_or_else(|| panic!("no such state: {state:?}")).min(3)
}

fn every_state_is_seen_in_order(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("MAX_WORKERS", 1).set("QUEUE_SIZE", 2));
    let client = server.client();
    let code = |n: usize| format!("import time\ntime.sleep(0.6)\nprint({n})");
    let ids: Vec<_> = (0..6).map(|n| client.submit("python", &code(n), None)).collect();
    let first = client.until(&ids[0], Instant::now() + Duration::from_secs(10), |state| state == "running");
    first.expect("the first to run");
    let states: Vec<_> =
        ids.iter().map(|id| client.status(id)["status"].as_str().unwrap_or_default().to_owned()).collect();
    assert_eq!(states, ["running", "queued", "queued", "pending", "pending", "pending"]);
    assert_eq!(client.stats(), [2, 1, 1, 6]);

    let (mut seen, mut wrong) = (vec![Vec::<usize>::new(); ids.len()], Vec::new());
    // From the last change that was seen: a disk that keeps everybody waiting for a while is not the service's fault.
    let mut patience = Instant::now() + Duration::from_secs(60);
    loop {
        sleep(ASKING);
        // From the last to the first: whoever came earlier is asked later, and must be at least as far.
        let mut behind = 0;
        for (n, id) in ids.iter().enumerate().rev() {
            let status = client.status(id);
            let result = client.result(id);
            wrong.extend(shape::fields("/status", &status, shape::status_fields));
            wrong.extend(shape::fields("/result", &result, shape::result_fields));
            let state = result["status"].as_str().unwrap_or_default();
            let printed = if shape_ended(state) { format!("{n}\n") } else { String::new() };
            if result["output"] != printed.as_str() {
                wrong.push(format!("{n} is {state} with output {}", result["output"]));
            }
            // One worker: a later one that runs or has ended means that this one has ended.
            let now = rank(status["status"].as_str().unwrap_or_default());
            let least = if behind >= 2 { 3 } else { behind };
            if now < least {
                wrong.push(format!("{n} is {} while a later one is {}", RANKS[now], RANKS[behind]));
            }
            behind = behind.max(now);
            if seen[n].last() != Some(&now) {
                seen[n].push(now);
                patience = Instant::now() + Duration::from_secs(60);
            }
        }
        if ids.iter().enumerate().all(|(n, _)| seen[n].last() == Some(&3)) {
            break;
        }
        assert!(Instant::now() < patience, "nothing happens any more: {seen:?}");
        let [waiting, _, running, _] = client.stats();
        if waiting > 2 || running > 1 {
            wrong.push(format!("{waiting} wait in a queue of 2, {running} run on one worker"));
        }
    }
    for (n, states) in seen.iter().enumerate() {
        if !states.is_sorted() || !states.contains(&2) {
            let names: Vec<_> = states.iter().map(|state| RANKS[*state]).collect();
            wrong.push(format!("{n} went {names:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(client.stats(), [0, 1, 0, 6]);
}

fn shape_ended(state: &str) -> bool {
    crate::support::submission::ended(state)
}

/// The moment that a status tells of the end, the whole output is there; and it never changes again.
fn endings_are_whole_and_final(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let deadline = Instant::now() + Duration::from_secs(60);
    let code = "import sys\nsys.stdout.write('x' * (1 << 20) + 'end')";
    let ids: Vec<_> = (0..5).map(|_| client.submit("python", code, None)).collect();
    let mut kept = Vec::new();
    for id in &ids {
        let seen = loop {
            // The first status that tells of the end is wanted.
            sleep(ASKING);
            let status = client.status(id);
            if shape_ended(status["status"].as_str().unwrap_or_default()) {
                break client.result(id);
            }
            assert!(Instant::now() < deadline, "{id} did not end");
        };
        let output = seen["output"].as_str().unwrap_or_default();
        let end: String = output.chars().skip(output.len().saturating_sub(100)).collect();
        let took = &seen["executionTimeFormatted"];
        assert!(output.len() == (1 << 20) + 3 && output.ends_with("xend"), "{} bytes, {took}: {end}", output.len());
        kept.push(seen);
    }
    assert_eq!(client.run("python", "print(1)", None).output(), "1\n");
    for (id, before) in ids.iter().zip(&kept) {
        assert!(client.result(id) == *before, "{id} changed after its end");
    }
}

under_both_runtimes!(every_state_is_seen_in_order, endings_are_whole_and_final);
