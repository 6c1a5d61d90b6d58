//! A program of the client's that says whether an output is right: each way in which it can end, what it sees and what the
//! program sees of it, and that it is held to limits, cleared, cancelled and run again as every step is.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Runtime, Server, Settings, scale};
use crate::{needs, program, support::Need, under_both_runtimes};

/// Prints its argument; without one it fails.
const SAYS: &str = "import sys\nprint(sys.argv[1])";

const CHECKERS: [(&str, &str); 2] = [("c", program!("checker/root.c")), ("python", program!("checker/root.py"))];

/// The checker, with time enough for all but what never ends.
fn checker((language, source): (&str, &str)) -> Value {
    let run = json!({"wall_ms": scale::limit("WALL_MS", 3000), "cpu_percent": 100});
    json!({"checker": {"language": language, "source": source, "limits": {"run": run}}})
}

fn tests(seen: &Value) -> &Vec<Value> {
    seen["tests"].as_array().unwrap_or_else(|| panic!("no tests: {seen:#}"))
}

fn each_way_a_checker_can_end(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    // What the program prints, its verdict, and how the checker ended.
    let rows = [
        ("4", "accepted", json!("accepted"), json!(0)),
        ("-4", "accepted", json!("accepted"), json!(0)),
        ("5", "wrong_answer", json!("exit_status"), json!(1)),
        ("four", "wrong_answer", json!("exit_status"), json!(2)),
        ("status", "internal_error", json!("exit_status"), json!(7)),
        ("crash", "internal_error", json!("signal"), json!(null)),
        ("flood", "internal_error", json!("output_limit"), json!(null)),
        ("hang", "internal_error", json!("time_limit"), json!(null)),
        ("4", "accepted", json!("accepted"), json!(0)),
        ("dirt", "wrong_answer", json!("exit_status"), json!(4)),
        ("eof", "wrong_answer", json!("exit_status"), json!(8)),
    ];
    for own in CHECKERS {
        let mut given: Vec<_> =
            rows.iter().map(|(printed, ..)| json!({"stdin": "16", "args": [printed], "expected": "4"})).collect();
        // It fails by itself, and nothing is to be checked; and one that is compared.
        given.push(json!({"stdin": "16", "args": []}));
        given.push(json!({"stdin": "16", "args": ["-4"], "expected": "4", "compare": "tokens"}));
        let body = json!({"language": "python", "source": SAYS, "compare": checker(own), "tests": given});
        let seen = client.judge(&body);
        let tests = tests(&seen);
        for ((printed, verdict, how, status), test) in rows.iter().zip(tests) {
            let checker = &test["checker"];
            let found = (test["verdict"].as_str(), &checker["verdict"], &checker["exit_status"]);
            assert_eq!(found, (Some(*verdict), how, status), "{own:?} {printed}: {test:#}");
            assert_eq!((&test["exit_status"], &test["stdout"]), (&json!(0), &json!(format!("{printed}\n"))));
        }
        assert_eq!(tests[2]["checker"]["stdout"], "5 is no root of 16, but 4 is\n");
        let flood = &tests[6]["checker"];
        assert!(flood["stdout"].as_str().is_some_and(|kept| kept.len() == 4096), "{flood:#}");
        assert_eq!(flood["stdout_truncated"], true);
        for (number, verdict) in [(11, "exit_status"), (12, "wrong_answer")] {
            let test = &tests[number];
            assert_eq!((&test["verdict"], &test["checker"]), (&json!(verdict), &Value::Null), "{test:#}");
        }
        let whole = (&seen["verdict"], &seen["passed"], &seen["failed"], &seen["error"]);
        assert_eq!(whole, (&json!("wrong_answer"), &json!(3), &json!(10), &json!(null)));
    }
}

/// Of a submission without tests, and on the Monaco routes.
fn one_output_and_a_checker(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let rows = [
        ("4", "accepted", None, "4\n"),
        ("5", "wrong_answer", None, "5\n\nwrong answer"),
        (
            "status",
            "internal_error",
            Some("the checker failed (exit_status): cannot judge\n"),
            "status\n\nInternal error: the checker failed",
        ),
    ];
    for (printed, verdict, error, output) in rows {
        let body = json!({"language": "python", "source": SAYS, "args": [printed], "stdin": "16", "expected": "4",
            "compare": checker(CHECKERS[0])});
        let seen = client.judge(&body);
        assert_eq!((&seen["verdict"], seen["error"].as_str()), (&json!(verdict), error), "{seen:#}");
        assert_eq!(seen["run"]["checker"]["limits"]["wall_ms"]["limit"], scale::limit("WALL_MS", 3000), "{seen:#}");
        assert_eq!(client.result(seen["id"].as_str().expect("an id"))["output"], output);
    }
}

/// The client is told by whose fault nothing was run; the service goes on.
fn a_checker_that_does_not_compile(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let broken = checker(("c", "int main(void) { return sixteen; }"));
    let seen = client.judge(&json!({"language": "python", "source": SAYS, "compare": broken, "tests": [{}, {}]}));
    assert_eq!((&seen["verdict"], &seen["not_run"]), (&json!("internal_error"), &json!(2)), "{seen:#}");
    let error = seen["error"].as_str().expect("an error");
    assert!(
        error.starts_with("the checker does not compile (compile_error): ") && error.contains("sixteen"),
        "{error}"
    );
    let id = seen["id"].as_str().expect("an id");
    assert_eq!(client.result(id)["output"], "Internal error: the checker does not compile");
    assert_eq!(client.get("/readyz").status, 200);
}

/// One container compiles it, whatever the number of tests; and each output has one to be judged in.
fn it_is_compiled_once(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime)
        .set("CASEMATE_LOG", "debug")
        .set("CASEMATE_POOL__LEAST", 0)
        .set("CASEMATE_POOL__MOST", 0);
    let server = Server::start(&settings);
    let given = vec![json!({"stdin": "16", "args": ["4"], "expected": "4"}); 20];
    let body = json!({"language": "python", "source": SAYS, "compare": checker(CHECKERS[0]), "tests": given});
    let before = server.log().lines().filter(|line| line.contains(": prepared ")).count();
    let seen = server.client().judge(&body);
    assert_eq!(seen["passed"], 20, "{seen:#}");
    let made = server.log().lines().filter(|line| line.contains(": prepared ")).count() - before;
    assert_eq!(made, 1 + 20 + 20);
}

/// It sees every byte, also what is not kept.
fn it_sees_all_that_was_printed(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_TESTS__OUTPUT_BYTES", 1000));
    let source = "import sys\nsys.stdout.buffer.write(b'\\xff\\0\\n' * int(input()))";
    let answer = json!({"base64": "/wAK"});
    let given = json!([{"stdin": "1", "expected": answer}, {"stdin": "50000", "expected": answer},
        {"stdin": "2", "expected": {"base64": "/wAL"}}]);
    let own = checker(("python", program!("checker/bytes.py")));
    let seen = server.client().judge(&json!({"language": "python", "source": source, "compare": own, "tests": given}));
    let wanted = [("accepted", "3\n", false), ("accepted", "150000\n", true), ("wrong_answer", "6\n", true)];
    for (test, (verdict, printed, cut)) in tests(&seen).iter().zip(wanted) {
        let found = (&test["verdict"], &test["checker"]["stdout"], &test["stdout_truncated"]);
        assert_eq!(found, (&json!(verdict), &json!(printed), &json!(cut)), "{seen:#}");
    }
}

/// Nothing of the checker or of what is expected is where the program can see it; and the checker has the three files, its own,
/// and nothing of the program's.
fn neither_sees_the_other(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let looks = program!("checker/looks.py");
    let with = |source: &str, mark: &str| json!({"a.py": source, "b.py": format!("# {mark}")});
    let limits = json!({"run": {"cpu_percent": 100}});
    let own = json!({"checker": {"language": "python", "files": with(looks, "of the checker"), "entry": "a.py", "limits": limits}});
    let body = json!({"language": "python", "files": with(looks, "of the program"), "entry": "a.py", "limits": limits,
        "stdin": "what is read", "expected": "what is expected", "compare": own});
    let seen = client.judge(&body);
    let printed = seen["run"]["stdout"].as_str().unwrap_or_else(|| panic!("{seen:#}"));
    assert!(printed.contains("# of the program"), "{printed}");
    for hidden in ["# of the checker", "what is expected", "'answer'"] {
        assert!(!printed.contains(hidden), "{hidden}: {printed}");
    }
    let checked = &seen["run"]["checker"];
    assert_eq!((&seen["verdict"], &checked["exit_status"]), (&json!("accepted"), &json!(0)), "{seen:#}");
    // Of its words little is kept, so that it says by its status what it found.
    let source = "import os, sys\nhas = sorted(os.listdir('/code'))\nprint(has, os.getcwd(), sys.stdin.read(), os.listdir('/tmp'))\n\
                  print([open(path).read() for path in sys.argv[1:]])\nopen('/code/new', 'w')";
    let body = json!({"language": "c", "source": program!("c/echo.c"), "stdin": "what is read", "expected": "what is expected",
        "compare": checker(("python", source))});
    let checked = client.judge(&body)["run"]["checker"].clone();
    let wanted = "['answer', 'input', 'output'] /code  []\n['what is read', 'what is read', 'what is expected']\n";
    assert_eq!(checked["stdout"], wanted, "{checked:#}");
    assert!(checked["stderr"].as_str().is_some_and(|words| words.contains("Read-only file system")), "{checked:#}");
}

/// Nothing of a checker is told as the program's, neither its compilation nor what it prints.
fn events_are_those_of_the_program(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("MAX_WORKERS", 1));
    let client = server.client();
    let source = format!("{}\n/* not compiled before */", program!("c/echo.c"));
    let own = json!({"checker": {"language": "c", "source":
        "#include <stdio.h>\n#include <unistd.h>\nint main(void) { puts(\"checked\"); fflush(stdout); sleep(1); }"}});
    let body =
        json!({"language": "c", "source": source, "compare": own, "tests": [{"stdin": "one"}, {"stdin": "two"}]});
    let place = client.hand_in(&body);
    let events = client.get(&format!("{place}/events")).text();
    // The name and the data of each.
    let told = events.split("\n\n").filter_map(|event| {
        let part = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let data: Value = serde_json::from_str(part("data")?).expect("JSON");
        Some(match part("event")? {
            "step" => format!("{} {}", data["step"], data["number"]),
            "output" => format!("{} {}", data["stream"], data["data"]),
            _ => return None,
        })
    });
    let wanted = [r#""compile" null"#, r#""run" 1"#, r#""stdout" "one""#, r#""run" 2"#, r#""stdout" "two""#];
    assert_eq!(told.collect::<Vec<_>>(), wanted, "{events}");
    assert_eq!(client.judged(&place)["tests"][1]["checker"]["stdout"], "checked\n");
}

/// While it judges, and while it is compiled: the job is over soon, and nobody waits for the checker.
fn cancelled_while_it_works(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let wall = scale::limit("WALL_MS", 30_000);
    let with = |language: &str, source: &str, step: &str| {
        let limits = json!({step: {"wall_ms": wall}});
        json!({"checker": {"language": language, "source": source, "limits": limits}})
    };
    let sleeps = with("python", "import time\ntime.sleep(60)", "run");
    let endless = with("c", program!("c/endless_includes.c"), "compile");
    for (own, verdicts) in [(sleeps, ["cancelled", "not_run"]), (endless, ["not_run", "not_run"])] {
        let body = json!({"language": "python", "source": "pass", "compare": own, "tests": [{}, {}]});
        let place = client.hand_in(&body);
        let id = place.rsplit('/').next().expect("an id").to_owned();
        let deadline = Instant::now() + scale::patience(Duration::from_secs(60));
        client.until(&id, deadline, |state| state == "running").expect("a start");
        std::thread::sleep(scale::patience(Duration::from_millis(2500)));
        let began = Instant::now();
        let reply = client.send("DELETE", &place, &[], b"").expect("a reply");
        assert!(matches!(reply.status, 200 | 202), "{}", reply.text());
        let seen = client.judged(&place);
        assert!(began.elapsed() < scale::patience(Duration::from_secs(10)));
        assert_eq!((&seen["verdict"], &seen["error"]), (&json!("cancelled"), &json!(null)), "{seen:#}");
        let found: Vec<_> = tests(&seen).iter().map(|test| test["verdict"].as_str().unwrap_or_default()).collect();
        assert_eq!(found, verdicts, "{seen:#}");
    }
}

/// Its time is the job's.
fn the_time_of_a_job_counts_it(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_TESTS__WALL_MS", 700));
    let own = checker(("python", "import time\ntime.sleep(0.8)"));
    let body = json!({"language": "python", "source": SAYS, "args": ["x"], "compare": own, "tests": [{}, {}, {}]});
    let seen = server.client().judge(&body);
    let whole = (&seen["verdict"], &seen["passed"], &seen["not_run"]);
    assert_eq!(whole, (&json!("time_limit"), &json!(1), &json!(2)), "{seen:#}");
}

/// A job that was cut off while its outputs were judged runs again, and has one answer.
fn it_outlives_a_crash(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("MAX_WORKERS", 1);
    let server = Server::start(&settings);
    let source = format!("import time\ntime.sleep(0.4)\n{}", program!("checker/root.py"));
    let given: Vec<_> = (4..10).map(|n| json!({"stdin": (n * n).to_string(), "args": [n.to_string()]})).collect();
    let body = json!({"language": "python", "source": SAYS, "compare": checker(("python", &source)), "tests": given});
    let place = server.client().hand_in(&body);
    let id = place.rsplit('/').next().expect("an id").to_owned();
    let deadline = Instant::now() + scale::patience(Duration::from_secs(60));
    server.client().until(&id, deadline, |state| state == "running").expect("a start");
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(server.client().status(&id)["status"], "running");
    let server = Server::start_at(&settings, server.leave(Signal::SIGKILL));
    let seen = server.client().judged(&place);
    assert_eq!((&seen["verdict"], &seen["passed"]), (&json!("accepted"), &json!(6)), "{seen:#}");
    assert!(tests(&seen).iter().all(|test| test["checker"]["exit_status"] == 0), "{seen:#}");
    assert_eq!(server.client().stats()[3], 1);
    assert_eq!(server.client().judged(&place), seen);
}

under_both_runtimes!(
    each_way_a_checker_can_end,
    one_output_and_a_checker,
    a_checker_that_does_not_compile,
    it_is_compiled_once,
    it_sees_all_that_was_printed,
    neither_sees_the_other,
    events_are_those_of_the_program,
    cancelled_while_it_works,
    the_time_of_a_job_counts_it,
    it_outlives_a_crash,
);
