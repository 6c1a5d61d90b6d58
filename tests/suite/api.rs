//! The routes below `/v1/`: what a program is given, and what its client gets back.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Client, Runtime, Server, Settings, scale};
use crate::{needs, program, support::Need, under_both_runtimes};

/// Submits and waits for the end, whatever a single request may wait.
fn run(client: Client, body: &Value) -> Value {
    let deadline = Instant::now() + scale::patience(Duration::from_secs(90));
    let mut reply = client.post("/v1/submissions?wait=5", body.to_string().as_bytes());
    assert!(matches!(reply.status, 201 | 202), "{body}: {}", reply.text());
    let place = reply.header("location").expect("a location").to_owned();
    while reply.json()["ended_at"].is_null() {
        assert!(Instant::now() < deadline, "{}", reply.text());
        reply = client.get(&format!("{place}?wait=5"));
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    reply.json()
}

fn c(body: &str) -> String {
    format!("{}\nint main(int argc, char **argv) {{ {body} return 0; }}", program!("c/includes.h"))
}

fn a_compile_error_has_the_compilers_words(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let seen = run(Server::shared(runtime).client(), &json!({"language": "c", "source": "int main(void) { return }"}));
    assert_eq!(
        (&seen["verdict"], &seen["run"], &seen["status"]),
        (&json!("compile_error"), &json!(null), &json!("failed"))
    );
    let compile = &seen["compile"];
    assert!(compile["stdout"].as_str().is_some_and(|words| words.contains("error: ")), "{seen:#}");
    assert_eq!((&compile["verdict"], &compile["exit_status"]), (&json!("compile_error"), &json!(1)), "{seen:#}");
}

/// Arguments, variables, input and both streams reach the program and come back, in every language.
fn what_a_program_is_given(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let c = c(
        "char b[99] = {0}; read(0, b, 98); printf(\"%s %s %s\", argv[1], getenv(\"WORD\"), b); fputs(\"err\", stderr);",
    );
    let java = "public class A { public static void main(String[] a) throws Exception { System.out.print(a[0] + \" \" + \
                System.getenv(\"WORD\") + \" \" + new String(System.in.readAllBytes())); System.err.print(\"err\"); } }";
    let python = "import sys, os\nprint(sys.argv[1], os.environ['WORD'], sys.stdin.read(), end='')\nprint('err', end='', file=sys.stderr)";
    for (language, source) in [("c", c.as_str()), ("cpp", c.as_str()), ("java", java), ("python", python)] {
        let body =
            json!({"language": language, "source": source, "args": ["a b"], "env": {"WORD": "w=é"}, "stdin": "in\n"});
        let seen = run(client, &body);
        let run = &seen["run"];
        let streams = (&run["stdout"], &run["stderr"], &seen["streams"]);
        assert_eq!(streams, (&json!("a b w=é in\n"), &json!("err"), &json!("separate")), "{language}: {seen:#}");
        for time in [&run["wall_us"], &run["cpu_us"], &run["memory_bytes"], &seen["queue_us"], &seen["run_us"]] {
            assert!(time.as_u64().is_some_and(|n| n > 0) || *time == seen["queue_us"], "{language}: {seen:#}");
        }
        assert!(seen["runtime"].as_str().is_some_and(|text| text.contains(runtime.name())), "{seen:#}");
        assert_eq!(seen["image"]["digest"].as_str().map(str::len), Some(64), "{seen:#}");
        let mut merged = body.clone();
        merged["streams"] = json!("merged");
        let seen = self::run(client, &merged);
        assert_eq!((&seen["run"]["stderr"], &seen["streams"]), (&json!(""), &json!("merged")), "{seen:#}");
        assert!(seen["run"]["stdout"].as_str().is_some_and(|text| text.contains("err")), "{seen:#}");
    }
    let bytes = json!({"language": "python", "source": "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())",
        "stdin": {"base64": "AP/+"}});
    let seen = run(client, &bytes);
    assert_eq!(
        (&seen["run"]["stdout"], &seen["run"]["stdout_encoding"]),
        (&json!("AP/+"), &json!("base64")),
        "{seen:#}"
    );
}

/// Of several files all sources are compiled, and the entry runs among them.
fn programs_of_several_files(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let rows = [
        json!({"language": "c", "entry": "main.c", "files": {
            "main.c": "#include <stdio.h>\n#include \"lib/two.h\"\nint main(void) { printf(\"%d\\n\", two()); return 0; }",
            "lib/two.c": "#include \"two.h\"\nint two(void) { return 2; }", "lib/two.h": "int two(void);"}}),
        json!({"language": "cpp", "entry": "main.cc", "files": {
            "main.cc": "#include <iostream>\nint two();\nint main() { std::cout << two() << std::endl; }",
            "two.cpp": "int two() { return 2; }"}}),
        json!({"language": "java", "entry": "app/Main.java", "files": {
            "app/Main.java": "package app;\npublic class Main { public static void main(String[] a) { System.out.println(lib.Two.two()); } }",
            "lib/Two.java": "package lib;\npublic class Two { public static int two() { return 2; } }"}}),
        json!({"language": "python", "entry": "main.py", "files": {
            "main.py": "from lib.two import two\nassert open('data.bin', 'rb').read() == b'\\xff'\nassert __file__ == '/code/main.py'\nprint(two())",
            "lib/two.py": "def two(): return 2", "data.bin": {"base64": "/w=="}}}),
        json!({"language": "python", "files": {"only.py": "print(2)"}}),
    ];
    for body in rows {
        let seen = run(client, &body);
        assert_eq!((&seen["verdict"], &seen["run"]["stdout"]), (&json!("accepted"), &json!("2\n")), "{body}\n{seen:#}");
    }
}

/// With limits of its own, and with the limits that hold shown.
fn limits_of_a_submission_hold(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("CASEMATE_CEILINGS__RUN__MEMORY_MIB", 200);
    let server = Server::start(&settings);
    let asked = json!({"memory_bytes": 50_000_001, "processes": 7, "open_files": 40, "stack_bytes": 2 << 20, "file_bytes": 70_000,
        "output_bytes": 5000, "cpu_percent": 90, "cpu_ms": 1500, "wall_ms": scale::limit("WALL_MS", 5000)});
    let body = json!({"language": "python", "limits": {"run": asked}, "source":
        "import resource as r\nprint([r.getrlimit(n)[0] for n in (r.RLIMIT_NOFILE, r.RLIMIT_STACK, r.RLIMIT_FSIZE)])"});
    let seen = run(server.client(), &body);
    assert_eq!(seen["run"]["stdout"], format!("[40, {}, 70000]\n", 2 << 20), "{seen:#}");
    for (name, value) in asked.as_object().expect("limits") {
        let wanted = if name == "memory_bytes" { json!(50_003_968) } else { value.clone() };
        assert_eq!(seen["run"]["limits"][name]["limit"], wanted, "{name}: {seen:#}");
    }
    let above = json!({"language": "python", "source": "x", "limits": {"run": {"memory_bytes": 201 << 20}}});
    let reply = server.client().post("/v1/submissions", above.to_string().as_bytes());
    assert_eq!((reply.status, &reply.json()["ceiling"]), (422, &json!(200 << 20)), "{}", reply.text());
}

/// However little a client asks for, what comes of it is the program's affair and never a fault of the service.
fn the_least_that_can_be_asked_for_is_no_fault(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let refused = client.post(
        "/v1/submissions",
        json!({"language": "c", "source": "x", "limits": {"run":
        {"memory_bytes": 0}}})
        .to_string()
        .as_bytes(),
    );
    assert_eq!(refused.status, 422, "{}", refused.text());
    let names =
        ["wall_ms", "cpu_ms", "cpu_percent", "memory_bytes", "processes", "open_files", "stack_bytes", "file_bytes"];
    let mut all = serde_json::Map::new();
    for name in names {
        let below = |step: &str| {
            let body = json!({"language": "c", "source": "x", "limits": {step: {name: 0}}});
            client.post("/v1/submissions", body.to_string().as_bytes()).json()["least"].clone()
        };
        let (least, of_compile) = (below("run"), below("compile"));
        all.insert(name.to_owned(), least.clone());
        for (step, least) in [("run", least), ("compile", of_compile)] {
            let source = c(&format!("puts(\"{step} {name}\");"));
            let seen = run(client, &json!({"language": "c", "source": source, "limits": {step: {name: least}}}));
            assert_ne!(seen["verdict"], "internal_error", "{step} {name}: {seen:#}");
        }
    }
    for language in ["c", "python", "java"] {
        let seen = run(client, &json!({"language": language, "source": "class A { }", "limits": {"run": all}}));
        assert_ne!(seen["verdict"], "internal_error", "{language}: {seen:#}");
    }
}

/// A hello finds a container that waits for it, as on the other routes, and what one route has compiled serves both.
fn nothing_is_slower_than_on_the_other_routes(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_LOG", "debug"));
    let client = server.client();
    let deadline = Instant::now() + scale::patience(Duration::from_secs(60));
    let waited =
        |id: &str| server.log().lines().any(|line| line.contains(id) && line.contains("Run: a container waited"));
    loop {
        let seen = run(client, &json!({"language": "python", "source": "print(1)"}));
        assert_eq!(seen["run"]["stdout"], "1\n");
        if waited(seen["id"].as_str().expect("an id")) {
            break;
        }
        assert!(Instant::now() < deadline, "no container waits:\n{}", server.log());
    }
    let text = c("puts(\"once\");");
    assert_eq!(client.run("c", &text, None).output(), "once\n");
    let seen = run(client, &json!({"language": "c", "source": text}));
    assert_eq!(seen["compile"]["verdict"], "accepted");
    let id = seen["id"].as_str().expect("an id");
    assert!(server.log().lines().any(|line| line.contains(id) && line.contains("compiled before")), "{}", server.log());
}

/// What was accepted is run after a crash with all that it said.
fn a_submission_outlives_a_crash(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let settings = Settings::new(runtime).set("MAX_WORKERS", 1);
    let server = Server::start(&settings);
    let client = server.client();
    client.submit("python", "import time; time.sleep(9)", None);
    let body = json!({"language": "python", "entry": "a.py", "args": ["x"], "env": {"E": "y"}, "stdin": "z",
        "files": {"a.py": "import sys, os, b\nprint(sys.argv[1], os.environ['E'], sys.stdin.read(), b.B)", "b.py": "B = 1"}});
    let reply = client.post("/v1/submissions", body.to_string().as_bytes());
    let place = reply.header("location").expect("a location").to_owned();
    let server = Server::start_at(&settings, server.leave(Signal::SIGKILL));
    let deadline = Instant::now() + scale::patience(Duration::from_secs(60));
    let seen = loop {
        let seen = server.client().get(&format!("{place}?wait=5")).json();
        if !seen["ended_at"].is_null() || Instant::now() > deadline {
            break seen;
        }
    };
    assert_eq!((&seen["verdict"], &seen["run"]["stdout"]), (&json!("accepted"), &json!("x y z 1\n")), "{seen:#}");
}

under_both_runtimes!(
    a_compile_error_has_the_compilers_words,
    what_a_program_is_given,
    programs_of_several_files,
    limits_of_a_submission_hold,
    the_least_that_can_be_asked_for_is_no_fault,
    nothing_is_slower_than_on_the_other_routes,
    a_submission_outlives_a_crash,
);
