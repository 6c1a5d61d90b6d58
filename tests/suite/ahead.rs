//! Containers of the next runs of a submission are made while the run before them goes on.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::wrapper::Wrapper;
use crate::support::{Runtime, Server, Settings, scale};
use crate::{needs, support::Need, under_both_runtimes};

/// What the runtime takes longer than it would.
const SLOWER: Duration = Duration::from_millis(400);
const RUNS: u32 = 6;

/// A submission of many runs waits for one launch, not for as many as it has runs; whether its limits are the usual ones or
/// its own.
fn further_runs_wait_for_no_launch(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let sleeps = format!("[ \"$verb\" != run ] || sleep {}", SLOWER.as_secs_f64());
    let wrapper = Wrapper::of(runtime, &sleeps);
    let settings = wrapper.before(&Settings::new(runtime));
    // Nothing waits that was made before the submission came.
    let settings = settings.set("CASEMATE_POOL__LEAST", 0).set("CASEMATE_POOL__MOST", 0);
    let server = Server::start(&settings);
    let source = "import time; time.sleep(0.6)";
    for limits in [json!({}), json!({"run": {"wall_ms": scale::limit("WALL_MS", 9000)}})] {
        let tests = vec![json!({}); RUNS as usize];
        let began = Instant::now();
        let seen =
            server.client().judge(&json!({"language": "python", "source": source, "tests": tests, "limits": limits}));
        let took = began.elapsed();
        assert_eq!(seen["verdict"], "accepted", "{seen:#}");
        let runs =
            seen["tests"].as_array().expect("tests").iter().map(|test| test["wall_us"].as_u64().expect("a time"));
        let beside = took.saturating_sub(Duration::from_micros(runs.sum()));
        assert!(beside >= SLOWER, "the runtime is as quick as ever: {beside:?} beside the runs, {took:?} in all");
        assert!(beside < SLOWER * (RUNS - 2), "{beside:?} beside the runs, {took:?} in all");
    }
}

under_both_runtimes!(further_runs_wait_for_no_launch);
