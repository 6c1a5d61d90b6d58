//! Containers of the next runs of a submission are made while the run before them goes on.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::process::Process;
use crate::support::prometheus::Page;
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

/// However many submissions run, no more containers than there are processors wait for their next runs.
fn all_jobs_together_have_so_many_ahead(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let jobs = processors + 2;
    let settings = Settings::new(runtime).set("MAX_WORKERS", jobs).limit(&["python"], "RUN", "CPU_PERCENT", 0);
    let server = Server::start(&settings.set("CASEMATE_POOL__LEAST", 0).set("CASEMATE_POOL__MOST", 0));
    let client = server.client();
    let made = || Page::parse(&client.get("/metrics").text()).get("casemate_container_make_seconds_count");
    let began = made();
    let processes = || Process::of(server.pid()).descendants().len();
    let before = processes();
    let tests = vec![json!({}); processors + 2];
    let wall = scale::limit("WALL_MS", 60_000);
    let source = "import time; time.sleep(600)";
    let job = json!({"language": "python", "source": source, "tests": tests, "limits": {"run": {"wall_ms": wall}}});
    let ids: Vec<String> = (0..jobs)
        .map(|_| {
            let reply = client.post("/v1/submissions", job.to_string().as_bytes());
            assert_eq!(reply.status, 202, "{}", reply.text());
            reply.json()["id"].as_str().expect("an id").to_owned()
        })
        .collect();
    // Those of the first runs, and those that wait: no first run ends.
    let expected = u32::try_from(jobs + processors).expect("not so many");
    let deadline = Instant::now() + scale::patience(Duration::from_secs(30));
    let (mut number, mut since) = (0.0, Instant::now());
    while number < f64::from(expected) || since.elapsed() < scale::patience(Duration::from_secs(1)) {
        assert!(Instant::now() < deadline, "{number} were made, not {expected}\n{}", server.log());
        thread::sleep(Duration::from_millis(20));
        let now = made() - began;
        if now > number {
            (number, since) = (now, Instant::now());
        }
    }
    assert!(number <= f64::from(expected), "{number} containers for {jobs} runs and {processors} to wait");
    for id in ids {
        let told = client.send("DELETE", &format!("/v1/submissions/{id}"), &[], b"").expect("a reply");
        assert!(matches!(told.status, 200 | 202), "{}", told.text());
    }
    let deadline = Instant::now() + scale::patience(Duration::from_secs(20));
    while processes() > before {
        assert!(Instant::now() < deadline, "{} processes are left, before {before}\n{}", processes(), server.log());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Keeps every processor busy for a moment, so that nothing is made beside it.
const BUSY: &str = "import os, time
for _ in range(os.cpu_count() or 1):
    if os.fork() == 0:
        until = time.monotonic() + 1
        while time.monotonic() < until: pass
        os._exit(0)
while True:
    try: os.wait()
    except ChildProcessError: break";

/// Of a submission that stops at its first failure the containers for the next tests serve others: nothing that has waited is
/// thrown away, and nothing is left over either.
fn what_was_taken_ahead_and_not_used_goes_back(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).limit(&["python"], "RUN", "CPU_PERCENT", 0);
    let server = Server::start(&settings.set("CASEMATE_POOL__LEAST", 4).set("CASEMATE_POOL__MOST", 4));
    let client = server.client();
    let numbers = || Page::parse(&client.get("/metrics").text());
    // Of each four: runs with merged streams and with separate ones, and compilers but Java's, which waits for nobody.
    let lacks = |page: &Page| {
        let waits = |(language, step)| {
            page.get(&format!("casemate_pool_containers{{language=\"{language}\",step=\"{step}\"}}"))
        };
        let runs = ["python", "c", "cpp", "java"].map(|language| 8.0 - waits((language, "run")));
        let compilers = ["c", "cpp"].map(|language| 4.0 - waits((language, "compile")));
        runs.into_iter().chain(compilers).any(|lacking| lacking > 0.0)
    };
    let full = || {
        let deadline = Instant::now() + scale::patience(Duration::from_secs(60));
        while lacks(&numbers()) {
            assert!(Instant::now() < deadline, "the shelves are not full\n{}", server.log());
            thread::sleep(Duration::from_millis(20));
        }
        numbers()
    };
    let before = full();
    let processes = || Process::of(server.pid()).descendants().len();
    // A container counts as waiting before what runs in it has started all its processes.
    let mut waited = processes();
    let mut since = Instant::now();
    while since.elapsed() < scale::patience(Duration::from_secs(1)) {
        thread::sleep(Duration::from_millis(20));
        if processes() != waited {
            (waited, since) = (processes(), Instant::now());
        }
    }
    let tests = vec![json!({"expected": "another output"}); 6];
    let job = json!({"language": "python", "source": BUSY, "tests": tests, "stop_on_failure": true});
    let seen = client.judge(&job);
    assert_eq!((&seen["verdict"], &seen["not_run"]), (&json!("wrong_answer"), &json!(5)), "{seen:#}");
    let after = full();
    let more = |series: &str| after.get(series) - before.get(series);
    let (taken, made) = (more("casemate_pool_hits_total"), more("casemate_container_make_seconds_count"));
    assert!(taken >= 2.0, "none was taken ahead: {taken}");
    assert!(made < taken, "{taken} were taken and {made} made in their place, though one was used");
    let deadline = Instant::now() + scale::patience(Duration::from_secs(20));
    while processes() > waited {
        assert!(Instant::now() < deadline, "{} processes are left, before {waited}\n{}", processes(), server.log());
        thread::sleep(Duration::from_millis(20));
    }
}

under_both_runtimes!(
    further_runs_wait_for_no_launch,
    all_jobs_together_have_so_many_ahead,
    what_was_taken_ahead_and_not_used_goes_back,
);
