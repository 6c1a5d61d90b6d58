//! `GET /v1/submissions/{id}/events`: what real programs print is told while they run, to a reader of our own and to curl, and
//! to who comes back after a crash of the service.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::follow::Reader;
use crate::support::sse::{self, Event};
use crate::support::{Client, Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

/// Prints, and prints again a while later.
const TWICE: &str = "import time\nprint('first', flush=True)\ntime.sleep(2)\nprint('second')";

/// How much earlier than the end the first of it has to be there: most of the time in between.
const BEFORE: Duration = Duration::from_millis(1500);

fn submit(client: Client, body: &serde_json::Value) -> String {
    let reply = client.post("/v1/submissions", body.to_string().as_bytes());
    assert_eq!(reply.status, 202, "{}", reply.text());
    reply.json()["id"].as_str().expect("an id").to_owned()
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).filter(|name| *name != "state").collect()
}

fn output_is_seen_before_the_program_ends(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let id = submit(client, &json!({"language": "python", "source": TWICE}));
    let seen = Reader::open(client, &id, None).until(|event| event.name == "end");
    let first = seen.iter().find(|(_, event)| event.name == "output").expect("output");
    assert_eq!((first.1.place().as_str(), first.1.bytes()), ("run 1 stdout", b"first\n".to_vec()));
    let (end, event) = seen.last().expect("an end");
    assert!(*end - first.0 > BEFORE, "{seen:?}");
    assert_eq!((&event.data["verdict"], &event.data["run"]["stdout"]), (&json!("accepted"), &json!("first\nsecond\n")));
    let events: Vec<_> = seen.into_iter().map(|(_, event)| event).collect();
    assert_eq!(names(&events), ["step", "output", "output", "end"]);
    // Who was told all is told that there is no more, so that a browser does not come back.
    let path = format!("/v1/submissions/{id}/events");
    let header = [("Last-Event-ID", events.last().expect("an end").id.as_str())];
    let reply = client.send("GET", &path, &header, b"").expect("a reply");
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
}

/// Whose connection breaks off while the program runs is told the rest, and nothing twice.
fn a_reader_goes_on_while_it_runs(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let id = submit(client, &json!({"language": "python", "source": TWICE}));
    let mut seen = Reader::open(client, &id, None).until(|event| event.name == "output");
    let (_, last) = seen.pop().expect("output");
    let rest = Reader::open(client, &id, Some(&last.id)).all();
    assert_eq!(sse::printed(&rest)["run 1 stdout"], b"second\n", "{rest:?}");
    assert_eq!(names(&rest), ["output", "end"]);
}

fn curl_sees_it_too(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Curl);
    let client = Server::shared(runtime).client();
    // Through the other routes: both streams are one.
    let id = client.submit(
        "python",
        &TWICE.replace("print('second')", "sys.stderr.write('second')").replace("import time", "import sys, time"),
        None,
    );
    let address = format!("http://{}/v1/submissions/{id}/events", client.address);
    let mut curl =
        Command::new("curl").args(["-sN", "--max-time", "60", &address]).stdout(Stdio::piped()).spawn().expect("curl");
    let lines = BufReader::new(curl.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let data: Vec<_> = lines.filter(|line| line.starts_with("data: ")).map(|line| (Instant::now(), line)).collect();
    assert!(curl.wait().expect("curl").success());
    let at = |word: &str| {
        data.iter().find(|(_, line)| line.contains(word)).unwrap_or_else(|| panic!("no {word}: {data:?}")).0
    };
    assert!(at("\"second\"") - at("first") > BEFORE, "{data:?}");
    assert!(data.last().expect("an end").1.contains("\"verdict\":\"accepted\""), "{data:?}");
}

/// What the compiler says comes first, whether it has to say it or has said it before.
fn a_compiler_is_heard(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let source =
        format!("#include <stdio.h>\n#warning heard\nint main(void) {{ puts(\"{}\"); return 0; }}", runtime.name());
    for time in 0..2 {
        let id = submit(client, &json!({"language": "c", "source": source, "limits": {"run": {"cpu_percent": 100}}}));
        let events = Reader::open(client, &id, None).all();
        let printed = sse::printed(&events);
        let words = String::from_utf8_lossy(&printed["compile stdout"]).into_owned();
        assert!(words.contains("heard") && words.contains("solution.c"), "{time}: {events:?}");
        assert_eq!(printed["run 1 stdout"], format!("{}\n", runtime.name()).into_bytes(), "{time}");
        assert_eq!(events.last().expect("an end").data["compile"]["stdout"], words, "{time}");
        let steps: Vec<_> = events.iter().filter(|event| event.name == "step").map(Event::place).collect();
        assert_eq!(steps, ["compile", "run 1"], "{time}");
    }
}

/// Each test is a step with its number, and is held against what is expected of it all the same.
fn tests_have_their_numbers(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let tests =
        [("1", "1"), ("2", "no"), ("3", "3")].map(|(stdin, expected)| json!({"stdin": stdin, "expected": expected}));
    let id = submit(client, &json!({"language": "python", "source": "print(input())", "tests": tests}));
    let events = Reader::open(client, &id, None).all();
    let steps: Vec<_> = events.iter().filter(|event| event.name == "step").map(Event::place).collect();
    assert_eq!(steps, ["run 1", "run 2", "run 3"]);
    let printed: Vec<_> = sse::printed(&events).into_iter().collect();
    let wanted = [1, 2, 3].map(|n| (format!("run {n} stdout"), format!("{n}\n").into_bytes()));
    assert_eq!(printed, wanted);
    let end = &events.last().expect("an end").data;
    assert_eq!((&end["verdict"], &end["tests"][0]["verdict"]), (&json!("wrong_answer"), &json!("accepted")), "{end:#}");
}

/// Bytes that are no text, more of them than fit anywhere, and a reader who takes none.
fn large_and_binary_output(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let source = "import sys\nblock = bytes(range(256)) * 256\nfor _ in range(48): sys.stdout.buffer.write(block)\nsys.stderr.write('é' * 40000)";
    let id = submit(client, &json!({"language": "python", "source": source, "limits": {"run": {"cpu_percent": 100}}}));
    let lazy = Reader::open(client, &id, None);
    let events = Reader::open(client, &id, None).all();
    let printed = sse::printed(&events);
    let block: Vec<u8> = (0..=255).collect();
    assert!(printed["run 1 stdout"] == block.repeat(256 * 48));
    assert!(printed["run 1 stderr"] == "é".repeat(40_000).into_bytes());
    assert_eq!(events.last().expect("an end").data["location"], format!("/v1/submissions/{id}"));
    drop(lazy);
}

/// A job that was cut off begins anew, and its reader hears that; one that had ended goes on where it was.
fn a_reader_comes_back_after_a_crash(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("MAX_WORKERS", 1);
    let server = Server::start(&settings);
    let client = server.client();
    let ended = submit(client, &json!({"language": "python", "source": "print('all')"}));
    let of_ended = Reader::open(client, &ended, None).all();
    let id = submit(client, &json!({"language": "python", "source": TWICE}));
    let mut seen = Reader::open(client, &id, None).until(|event| event.name == "output");
    let (_, last) = seen.pop().expect("output");
    let server = Server::start_at(&settings, server.leave(Signal::SIGKILL));
    let client = server.client();

    let output = of_ended.iter().position(|event| event.name == "output").expect("output");
    let rest = Reader::open(client, &ended, Some(&of_ended[output].id)).all();
    assert_eq!(rest, of_ended[output + 1..]);
    let live = Reader::open(client, &id, Some(&last.id)).all();
    let stored = Reader::open(client, &id, Some(&last.id)).all();
    for events in [&live, &stored] {
        assert_eq!(events[0].name, "restart", "{events:?}");
        assert_eq!(sse::printed(events)["run 1 stdout"], b"first\nsecond\n");
    }
    assert_eq!(live.last(), stored.last());
}

under_both_runtimes!(
    output_is_seen_before_the_program_ends,
    a_reader_goes_on_while_it_runs,
    curl_sees_it_too,
    a_compiler_is_heard,
    tests_have_their_numbers,
    large_and_binary_output,
    a_reader_comes_back_after_a_crash,
);
