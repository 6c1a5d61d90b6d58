//! Containers of the next runs of a submission are made while the run before them goes on.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Runtime, Server, Settings, scale};
use crate::{needs, support::Need, under_both_runtimes};

/// What the runtime takes longer than it would.
const SLOWER: Duration = Duration::from_millis(400);
const RUNS: u32 = 6;

/// A submission of many runs waits for one launch, not for as many as it has runs; whether its limits are the usual ones or
/// its own.
fn further_runs_wait_for_no_launch(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let directory = tempfile::Builder::new().prefix("cmtest-slow-").tempdir().expect("a temporary directory");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("its permissions");
    let wrapper = directory.path().join(runtime.name());
    let script = format!(
        "#!/bin/sh\nPATH=$PATH:/usr/sbin:/usr/bin\ncase \" $* \" in *' run '*) sleep {};; esac\nexec {} \"$@\"\n",
        SLOWER.as_secs_f64(),
        runtime.name(),
    );
    fs::write(&wrapper, script).expect("a wrapper");
    fs::set_permissions(&wrapper, Permissions::from_mode(0o755)).expect("its permissions");
    let settings = Settings::new(runtime).set("CASEMATE_RUNTIME_PATH", wrapper.display());
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
