//! Submissions with an expected output and with many tests: what counts as the same, what is shown of each test, and that
//! a program is compiled once however many there are.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::process::Process;
use crate::support::{Runtime, Server, Settings, scale};
use crate::{needs, program, support::Need, under_both_runtimes};

/// Submits, and answers with the place to ask at.
fn verdicts(seen: &Value) -> Vec<&str> {
    let tests = seen["tests"].as_array().unwrap_or_else(|| panic!("no tests: {seen:#}"));
    tests.iter().map(|test| test["verdict"].as_str().unwrap_or_default()).collect()
}

fn counts(seen: &Value) -> [u64; 3] {
    ["passed", "failed", "not_run"].map(|name| seen[name].as_u64().unwrap_or_else(|| panic!("no {name}: {seen:#}")))
}

/// Prints its input, in each language.
const ECHO: [(&str, &str); 4] = [
    ("c", program!("c/echo.c")),
    ("cpp", program!("cpp/echo.cpp")),
    ("java", program!("java/Echo.java")),
    ("python", "import sys\nprint(sys.stdin.read(), end='')"),
];

/// The verdict of an exit status of 0 and another output.
fn a_wrong_answer_in_each_language(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    for (language, source) in ECHO {
        let body =
            |expected: &str| json!({"language": language, "source": source, "stdin": "1 2\n", "expected": expected});
        let seen = client.judge(&body("1 2"));
        assert_eq!((&seen["verdict"], &seen["status"]), (&json!("accepted"), &json!("completed")), "{seen:#}");
        let seen = client.judge(&body("1 3"));
        let whole = (&seen["verdict"], &seen["status"], &seen["limit"]);
        assert_eq!(whole, (&json!("wrong_answer"), &json!("failed"), &json!(null)), "{language}: {seen:#}");
        let run = &seen["run"];
        let step = (&run["verdict"], &run["exit_status"], &run["stdout"]);
        assert_eq!(step, (&json!("wrong_answer"), &json!(0), &json!("1 2\n")), "{language}: {seen:#}");
        assert!(seen["tests"].is_null() && seen["passed"].is_null(), "{language}: {seen:#}");
        let id = seen["id"].as_str().expect("an id");
        assert_eq!(client.result(id)["output"], "1 2\n\nwrong answer");
    }
}

/// Each way of comparing, for all tests and for one.
fn what_counts_as_the_same(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let (language, source) = ECHO[3];
    let floats = json!({"floats": {"absolute": 0.01}});
    // Printed, expected, and what comes of it by exact, trailing, tokens and floats.
    let rows = [
        ("1 2\n", "1 2\n", [true; 4]),
        ("1 2", "1 2 \n\n", [false, true, true, true]),
        ("1  2", "1 2", [false, false, true, true]),
        ("1 2.005", "1 2", [false, false, false, true]),
        ("1 2.02", "1 2", [false; 4]),
        ("", "\n", [false, true, true, true]),
    ];
    let ways = [json!("exact"), json!("trailing"), json!("tokens"), floats];
    let mut tests = Vec::new();
    for (printed, expected, _) in &rows {
        tests.extend(ways.iter().map(|way| json!({"stdin": printed, "expected": expected, "compare": way})));
    }
    let seen = client.judge(&json!({"language": language, "source": source, "tests": tests}));
    let wanted = rows.iter().flat_map(|(_, _, same)| same.map(|same| if same { "accepted" } else { "wrong_answer" }));
    assert_eq!(verdicts(&seen), wanted.collect::<Vec<_>>(), "{seen:#}");
    // One for all, and another for one.
    let tests = json!([{"stdin": "1  2", "expected": "1 2"}, {"stdin": "1  2", "expected": "1 2", "compare": "exact"}, {"stdin": "x"}]);
    let seen = client.judge(&json!({"language": language, "source": source, "compare": "tokens", "tests": tests}));
    assert_eq!(verdicts(&seen), ["accepted", "wrong_answer", "accepted"], "{seen:#}");
    // Standard error is not compared, nor is output of which a byte is no text.
    let both = "import sys\nsys.stderr.write('err')\nsys.stdout.buffer.write(b'\\xff\\0')";
    let body = json!({"language": "python", "source": both, "expected": {"base64": "/wA="}, "compare": "exact"});
    assert_eq!(client.judge(&body)["verdict"], "accepted");
}

/// What ends a test otherwise is told of it, the whole has the verdict of the first, and what each has of its own reaches it.
fn what_is_shown_of_each_test(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let source = "import sys, time, os\nprint(sys.argv[1], os.environ['E'], sys.stdin.read(), flush=True)\n\
                  time.sleep(60 if sys.argv[1] == 'sleep' else 0)\nsys.exit(int(sys.argv[2]) if sys.argv[2:] else 0)";
    let wall = scale::limit("WALL_MS", 1000);
    let body = json!({"language": "python", "source": source, "args": ["general"], "env": {"E": "e"}, "tests": [
        {"name": "first", "stdin": "in", "expected": "general e in"},
        {"stdin": "x", "args": ["own"], "expected": "own e x"},
        {"args": ["sleep"], "expected": "sleep e", "limits": {"wall_ms": wall}},
        {"args": ["status", "7"], "expected": "status e"},
        {"name": "öther", "args": ["wrong"], "expected": "right"},
        {"args": []},
    ]});
    let seen = client.judge(&body);
    let wanted = ["accepted", "accepted", "time_limit", "exit_status", "wrong_answer", "exit_status"];
    assert_eq!(verdicts(&seen), wanted, "{seen:#}");
    assert_eq!((&seen["verdict"], &seen["limit"]), (&json!("time_limit"), &json!("wall_ms")), "{seen:#}");
    assert_eq!((&seen["status"], &seen["run"], counts(&seen)), (&json!("failed"), &json!(null), [2, 4, 0]), "{seen:#}");
    let tests = &seen["tests"];
    assert_eq!(
        (&tests[0]["name"], &tests[4]["name"], &tests[1]["name"]),
        (&json!("first"), &json!("öther"), &json!(null))
    );
    assert_eq!((&tests[1]["stdout"], &tests[3]["exit_status"]), (&json!("own e x\n"), &json!(7)), "{seen:#}");
    assert_eq!(
        (&tests[2]["limit"], &tests[2]["limits"]["wall_ms"]["limit"]),
        (&json!("wall_ms"), &json!(wall)),
        "{seen:#}"
    );
    // Of all tests together, and of memory the most.
    let each = |name: &str| {
        tests.as_array().expect("tests").iter().map(|test| test[name].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(seen["wall_us"].as_u64(), Some(each("wall_us").iter().sum()), "{seen:#}");
    assert_eq!(seen["cpu_us"].as_u64(), Some(each("cpu_us").iter().sum()), "{seen:#}");
    assert_eq!(seen["memory_bytes"].as_u64(), each("memory_bytes").into_iter().max(), "{seen:#}");
    // The Monaco routes show the first that failed.
    let output = client.result(seen["id"].as_str().expect("an id"))["output"].clone();
    assert!(output.as_str().is_some_and(|text| text.starts_with("sleep e") && text.contains("timed out")), "{output}");
}

/// After the first that is not accepted nothing more is run where that was asked for; and nothing at all of a program that
/// does not compile.
fn what_is_not_run(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let (language, source) = ECHO[0];
    let tests: Vec<_> =
        ["1", "2", "3", "4"].map(|n| json!({"stdin": n, "expected": if n == "2" { "x" } else { n }})).into();
    let body = |stop: bool| json!({"language": language, "source": source, "tests": tests, "stop_on_failure": stop});
    let seen = client.judge(&body(true));
    assert_eq!(verdicts(&seen), ["accepted", "wrong_answer", "not_run", "not_run"], "{seen:#}");
    assert_eq!((&seen["verdict"], counts(&seen)), (&json!("wrong_answer"), [1, 1, 2]), "{seen:#}");
    assert_eq!(seen["tests"][3], json!({"name": null, "verdict": "not_run", "limit": null}));
    let seen = client.judge(&body(false));
    assert_eq!((verdicts(&seen), counts(&seen)), (vec!["accepted", "wrong_answer", "accepted", "accepted"], [3, 1, 0]));
    let broken = json!({"language": "c", "source": "int main(void) { return }", "tests": tests});
    let seen = client.judge(&broken);
    assert_eq!((&seen["verdict"], counts(&seen)), (&json!("compile_error"), [0, 0, 4]), "{seen:#}");
}

/// A job that has had its time begins no further test, and fails.
fn a_job_has_its_time(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_TESTS__WALL_MS", 700));
    let tests = vec![json!({"expected": "x"}); 20];
    let source = "import time\ntime.sleep(0.4)\nprint('x')";
    let seen = server.client().judge(&json!({"language": "python", "source": source, "tests": tests}));
    let [passed, failed, not_run] = counts(&seen);
    assert!((1..=2).contains(&passed) && failed == 0 && passed + not_run == 20, "{seen:#}");
    let whole = (&seen["verdict"], &seen["limit"], &seen["status"]);
    assert_eq!(whole, (&json!("time_limit"), &json!(null), &json!("failed")), "{seen:#}");
    let id = seen["id"].as_str().expect("an id");
    assert_eq!(server.client().result(id)["output"], "x\n\nexecution timed out after 0.7 seconds");
}

/// One container compiles, whatever the number of tests, and each test costs what a run alone costs.
fn a_thousand_tests_are_compiled_once(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    // Every container is made when it is needed, so that they can be counted.
    let settings = Settings::new(runtime)
        .set("CASEMATE_LOG", "debug")
        .set("CASEMATE_POOL__LEAST", 0)
        .set("CASEMATE_POOL__MOST", 0);
    let server = Server::start(&settings);
    let client = server.client();
    let made = || server.log().lines().filter(|line| line.contains(": prepared ")).count();
    // The slower runtime needs no more than show the same.
    let number = if runtime == Runtime::Crun { 1000 } else { 200 };
    let (language, source) = ECHO[0];
    let alone = json!({"language": language, "source": source, "stdin": "1"});
    client.judge(&alone);
    // Compiled before: what is left is the run.
    let usual = || {
        let mut lone: Vec<_> = (0..9).map(|_| client.judge(&alone)["run_us"].as_u64().expect("a time")).collect();
        lone.sort_unstable();
        lone[4]
    };
    let quiet = usual();
    let before = made();
    let tests: Vec<_> = (0..number).map(|n| json!({"stdin": n.to_string(), "expected": n.to_string()})).collect();
    let other = format!("{source}\n// Not compiled before.\n");
    let began = Instant::now();
    let seen = client.judge(&json!({"language": language, "source": other, "tests": tests}));
    assert_eq!((&seen["verdict"], counts(&seen)), (&json!("accepted"), [number, 0, 0]));
    assert_eq!(
        made() - before,
        1 + usize::try_from(number).expect("a number"),
        "one that compiles, and one for each test"
    );
    assert_eq!(seen["compile"]["verdict"], "accepted");
    let each =
        (seen["run_us"].as_u64().expect("a time") - seen["compile"]["wall_us"].as_u64().expect("a time")) / number;
    // Others may use the machine more at one time than at another.
    let lone = quiet.max(usual());
    println!("{number} tests in {:?}: {each} us each, {lone} us alone", began.elapsed());
    assert!(each < 2 * lone, "{each} us each, {lone} us alone");
}

/// What is printed is compared as it comes; of all of it together only so much is kept, on disk and in memory.
fn much_output_takes_little_room(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("CASEMATE_TESTS__OUTPUT_BYTES", 1_000_000);
    let server = Server::start(&settings);
    let client = server.client();
    let source = "import sys\nfor _ in range(8 << 10): sys.stdout.write('x' * 1023 + '\\n')";
    let expected = format!("{}\n", "x".repeat(1023)).repeat(8 << 10);
    let tests: Vec<_> =
        (0..40).map(|n| if n == 20 { json!({"expected": expected}) } else { json!({"expected": "x"}) }).collect();
    let limits = json!({"run": {"cpu_percent": 100, "output_bytes": 9 << 20}});
    let body = json!({"language": "python", "source": source, "tests": tests, "limits": limits});
    let service = Process::child_of(server.pid());
    let before = service.peak_kib();
    let place = client.hand_in(&body);
    let seen = client.judged(&place);
    let grown = service.peak_kib() - before;
    let wanted = (0..40).map(|n| if n == 20 { "accepted" } else { "wrong_answer" });
    assert_eq!(verdicts(&seen), wanted.collect::<Vec<_>>());
    println!("{grown} KiB more for 320 MiB printed");
    // The body, what is expected, what is kept, the reply.
    assert!(grown < 120 << 10, "{grown} KiB more");
    let tests = seen["tests"].as_array().expect("tests");
    let kept: usize = tests.iter().map(|test| test["stdout"].as_str().map_or(0, str::len)).sum();
    assert_eq!(kept, 1_000_000);
    for (test, first) in tests.iter().zip(std::iter::once(true).chain(std::iter::repeat(false))) {
        let shown = (&test["stdout_truncated"], &test["output_bytes"], test["stdout"] != "");
        assert_eq!(shown, (&json!(true), &json!(8 << 20), first));
    }
}

/// A job that was cut off among its tests runs again, and has one answer.
fn tests_outlive_a_crash(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("MAX_WORKERS", 1);
    let server = Server::start(&settings);
    let source = "import sys, time\ntime.sleep(0.3)\nprint(sys.argv[1], sys.stdin.read())";
    let tests: Vec<_> = (0..6)
        .map(|n| {
            let compare = json!({"floats": {"absolute": 0.1}});
            json!({"name": format!("t{n}"), "stdin": n.to_string(), "args": ["a"], "expected": format!("a {n}"), "compare": compare})
        })
        .collect();
    let body = json!({"language": "python", "source": source, "tests": tests, "stop_on_failure": true});
    let place = server.client().hand_in(&body);
    let id = place.rsplit('/').next().expect("an id").to_owned();
    let deadline = Instant::now() + scale::patience(Duration::from_secs(60));
    server.client().until(&id, deadline, |state| state == "running").expect("a start");
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(server.client().status(&id)["status"], "running");
    let server = Server::start_at(&settings, server.leave(Signal::SIGKILL));
    let seen = server.client().judged(&place);
    assert_eq!((&seen["verdict"], counts(&seen)), (&json!("accepted"), [6, 0, 0]), "{seen:#}");
    assert_eq!((&seen["tests"][5]["name"], &seen["tests"][5]["stdout"]), (&json!("t5"), &json!("a 5\n")), "{seen:#}");
    assert_eq!(server.client().stats()[3], 1);
    assert_eq!(server.client().judged(&place), seen);
}

/// Cancelled among its tests: those that ended are shown, the rest is not run.
fn cancelled_among_the_tests(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let source = "import sys, time\ntime.sleep(60 if sys.stdin.read() else 0)";
    let tests = json!([{}, {"stdin": "sleep"}, {}, {}]);
    let wall = scale::limit("WALL_MS", 30_000);
    let limits = json!({"run": {"wall_ms": wall}});
    let place = client.hand_in(&json!({"language": "python", "source": source, "tests": tests, "limits": limits}));
    let id = place.rsplit('/').next().expect("an id").to_owned();
    let deadline = Instant::now() + scale::patience(Duration::from_secs(60));
    client.until(&id, deadline, |state| state == "running").expect("a start");
    std::thread::sleep(scale::patience(Duration::from_millis(1500)));
    let began = Instant::now();
    let reply = client.send("DELETE", &place, &[], b"").expect("a reply");
    assert!(matches!(reply.status, 200 | 202), "{}", reply.text());
    let seen = client.judged(&place);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!((&seen["verdict"], &seen["status"]), (&json!("cancelled"), &json!("failed")), "{seen:#}");
    assert_eq!(verdicts(&seen), ["accepted", "cancelled", "not_run", "not_run"], "{seen:#}");
}

under_both_runtimes!(
    a_wrong_answer_in_each_language,
    what_counts_as_the_same,
    what_is_shown_of_each_test,
    what_is_not_run,
    a_job_has_its_time,
    a_thousand_tests_are_compiled_once,
    much_output_takes_little_room,
    tests_outlive_a_crash,
    cancelled_among_the_tests,
);
