//! `diagnose` of a submission, and `casemate run --diagnose`: the report names the system calls that a run was refused. All else
//! is as without it: limits, cancelling, events; and who does not ask is told nothing.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::sse::Events;
use crate::support::{Runtime, Server, Settings, account, command, scale};
use crate::{needs, program, support::Need, under_both_runtimes};

/// Asks for what the profile `run` answers with each of its two errors, and ends with 0 where it got them.
const ASKS: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
static int refused(long answer, int error) { return answer == -1 && errno == error; }
int main(void) {
    for (int i = 0; i < 5; i++)
        if (!refused(unshare(CLONE_NEWUSER), EPERM)) return 1;
    for (int i = 0; i < 3; i++)
        if (!refused(socket(AF_INET, SOCK_STREAM, 0), EPERM)) return 2;
    if (!refused(personality(8), ENOSYS) || !refused(personality(8), ENOSYS)) return 3;
    if (!refused(syscall(600, 1, 2, 3), ENOSYS)) return 4;
    // What the filter allows and the kernel then refuses is none of it.
    if (!refused(setuid(0), EPERM) || !refused(access("/nothing", 0), ENOENT)) return 5;
    if (close(socket(AF_UNIX, SOCK_STREAM, 0))) return 6;
    puts("all of it");
    return 0;
}
"#;

/// Fifty processes at once, each refused one call.
const CHILDREN: &str = r#"
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
    int status, ended = 0;
    for (int i = 0; i < 50; i++)
        if (fork() == 0) _exit(syscall(SYS_ptrace, 0, 0, 0, 0) != -1 || errno != EPERM);
    while (wait(&status) > 0) ended += status == 0;
    return ended != 50;
}
"#;

fn c(source: &str) -> Value {
    json!({"language": "c", "source": source, "diagnose": true, "limits": {"run": {"cpu_percent": 100}}})
}

/// Name, first argument that was looked at, error, whether it ended the program, count: of each call of a run.
fn lines(run: &Value) -> Vec<(String, Option<String>, Value, bool, u64)> {
    let line = |call: &Value| {
        let argument = call.pointer("/arguments/0/value").and_then(Value::as_str).map(str::to_owned);
        let (killed, count) = (call["killed"].as_bool().expect("killed"), call["count"].as_u64().expect("a count"));
        (call["name"].as_str().expect("a name").to_owned(), argument, call["errno"].clone(), killed, count)
    };
    run["refused_calls"].as_array().unwrap_or_else(|| panic!("no list: {run:#}")).iter().map(line).collect()
}

fn line(
    name: &str,
    argument: Option<&str>,
    errno: Option<&str>,
    count: u64,
) -> (String, Option<String>, Value, bool, u64) {
    (name.to_owned(), argument.map(str::to_owned), json!(errno), errno.is_none(), count)
}

/// What [`ASKS`] is refused, the most frequent first.
fn asked() -> Vec<(String, Option<String>, Value, bool, u64)> {
    vec![
        line("unshare", None, Some("EPERM"), 5),
        line("socket", Some("0x2"), Some("EPERM"), 3),
        line("personality", Some("0x8"), Some("ENOSYS"), 2),
        line("600", None, Some("ENOSYS"), 1),
    ]
}

fn refused_calls_are_named(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let seen = client.judge(&c(ASKS));
    assert_eq!((&seen["verdict"], &seen["run"]["stdout"]), (&json!("accepted"), &json!("all of it\n")), "{seen:#}");
    assert_eq!(lines(&seen["run"]), asked(), "{seen:#}");
    assert_eq!(seen["run"]["refused_calls"][0]["number"], json!(272 - i32::from(cfg!(target_arch = "aarch64")) * 175));
    assert_eq!(seen["run"]["refused_calls_truncated"], json!(false), "{seen:#}");
    // Of a compiler nobody asked, and it comes from the cache as ever.
    assert!(seen["compile"].get("refused_calls").is_none(), "{seen:#}");

    let children = client.judge(&c(CHILDREN));
    assert_eq!(children["verdict"], "accepted", "{children:#}");
    let ptrace: Vec<_> = lines(&children["run"]).into_iter().filter(|(name, ..)| name == "ptrace").collect();
    assert_eq!(ptrace, [line("ptrace", None, Some("EPERM"), 50)], "{children:#}");

    // Each test has its own.
    let mut tests = c(
        "#define _GNU_SOURCE\n#include <sched.h>\nint main(int n, char **v) { while (--n) unshare(CLONE_NEWUSER); return 0; }",
    );
    tests["tests"] = json!([{"args": ["a"]}, {"args": []}, {"args": ["a", "b"]}]);
    let seen = client.judge(&tests);
    let counts: Vec<Vec<u64>> = seen["tests"]
        .as_array()
        .expect("tests")
        .iter()
        .map(|run| lines(run).iter().map(|line| line.4).collect())
        .collect();
    assert_eq!(counts, [vec![1], vec![], vec![2]], "{seen:#}");

    let python = json!({"language": "python", "diagnose": true, "source": "import socket\ntry: socket.socket()\nexcept PermissionError: print('refused')"});
    let seen = client.judge(&python);
    assert_eq!((&seen["verdict"], &seen["run"]["stdout"]), (&json!("accepted"), &json!("refused\n")), "{seen:#}");
    assert!(lines(&seen["run"]).contains(&line("socket", Some("0x2"), Some("EPERM"), 1)), "{seen:#}");
}

fn a_call_that_ends_the_program_is_named(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let abi32 = program!("c/abi32.c");
    let seen = Server::shared(runtime).client().judge(&c(abi32));
    assert_eq!((&seen["verdict"], &seen["run"]["signal"]), (&json!("syscall_denied"), &json!("SIGSYS")), "{seen:#}");
    let killed: Vec<_> = lines(&seen["run"]).into_iter().filter(|(.., killed, _)| *killed).collect();
    assert_eq!(killed, [line("20 of another table (0x40000003)", None, None, 1)], "{seen:#}");

    let dir = account::directory("programs");
    let path = file(dir.path(), "abi32.c", abi32);
    let told = |arguments: &[&str]| {
        let seen = command::casemate(&Settings::new(runtime), &[&["run"], arguments, &[path.as_str()]].concat(), b"");
        (seen.status.code(), String::from_utf8_lossy(&seen.stderr).into_owned())
    };
    let (status, words) = told(&["--diagnose"]);
    assert!(status == Some(159) && words.contains("(SIGSYS): 20 of another table (0x40000003)"), "{status:?} {words}");
    let (status, words) = told(&[]);
    assert!(status == Some(159) && words.contains("`--diagnose` tells which"), "{status:?} {words}");
}

fn who_does_not_ask_is_told_nothing(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let mut plain = c(ASKS);
    for asks in [json!(false), json!(null)] {
        plain["diagnose"] = asks;
        let seen = Server::shared(runtime).client().judge(&plain);
        assert_eq!(seen["verdict"], "accepted", "{seen:#}");
        assert!(!seen.to_string().contains("refused_calls"), "{seen:#}");
    }

    let server = Server::start(&Settings::new(runtime).set("CASEMATE_SECCOMP__NAME_REFUSED", "off"));
    assert_eq!(server.client().judge(&plain)["verdict"], "accepted");
    let reply = server.client().post("/v1/submissions", c(ASKS).to_string().as_bytes());
    let problem = reply.json();
    assert_eq!((reply.status, &problem["field"]), (422, &json!("diagnose")), "{}", reply.text());
    assert!(problem["remedy"].as_str().is_some_and(|remedy| remedy.contains("leave it out")), "{}", reply.text());
}

fn limits_hold_all_the_same(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let with = |body: &str, limits: Value| {
        let source = format!(
            "{}\n#include <sys/syscall.h>\nint main(void) {{ syscall(600); {body} return 0; }}",
            program!("c/includes.h")
        );
        let mut job = c(&source);
        job["limits"]["run"] = limits;
        job
    };
    let wall = scale::limit("WALL_MS", 500);
    for (job, verdict) in [
        (with("sleep(60);", json!({"wall_ms": wall})), "time_limit"),
        // The end comes in the middle of a call, again and again.
        (with("for (;;) syscall(SYS_ptrace, 0, 0, 0, 0);", json!({"wall_ms": wall, "cpu_percent": 100})), "time_limit"),
        (
            with(
                "for (;;) getppid();",
                json!({"cpu_ms": 300, "cpu_percent": 100, "wall_ms": scale::limit("WALL_MS", 60_000)}),
            ),
            "cpu_limit",
        ),
        (with("memset(malloc(200 << 20), 1, 200 << 20);", json!({"memory_bytes": 20 << 20})), "memory_limit"),
        (with("for (;;) puts(\"flood\");", json!({"output_bytes": 1000, "cpu_percent": 100})), "output_limit"),
        (program_that_forks(), "process_limit"),
    ] {
        let seen = client.judge(&job);
        assert_eq!(seen["verdict"], verdict, "{seen:#}");
        assert!(lines(&seen["run"]).iter().any(|(name, ..)| name == "600"), "{seen:#}");
    }
}

/// Process 1 of a container cannot be stopped or ended by its job, watched or not; a program's own child can.
fn no_signal_to_process_1_makes_a_difference(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let source = "\
import os, signal, time
for number in range(1, 65):
    try: os.kill(1, number)
    except OSError as error: print(number, error.errno)
os.kill(1, signal.SIGSTOP)
child = os.fork()
if child == 0:
    time.sleep(60)
os.kill(child, signal.SIGSTOP)
_, status = os.waitpid(child, os.WUNTRACED)
print(os.WIFSTOPPED(status) and os.WSTOPSIG(status))
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
print('x')
";
    let wall = scale::limit("WALL_MS", 5000);
    let seen = [false, true].map(|diagnose| {
        let job =
            json!({"language": "python", "source": source, "diagnose": diagnose, "limits": {"run": {"wall_ms": wall}}});
        let seen = client.judge(&job);
        assert_eq!(seen["run"]["refused_calls"].is_array(), diagnose, "{seen:#}");
        (seen["verdict"].clone(), seen["run"]["stdout"].clone())
    });
    assert_eq!(seen[0], seen[1], "without and with");
    assert_eq!(seen[1].0, "accepted");
    assert!(seen[1].1.as_str().is_some_and(|printed| printed.ends_with("19\nx\n")), "{}", seen[1].1);
}

fn program_that_forks() -> Value {
    let source = program!("c/fork_until_refused.c").replace("STATUS", "1");
    let mut job = c(&source.replace("int main(void) {", "int main(void) {\n    syscall(600);"));
    job["limits"]["run"] = json!({"processes": 20, "cpu_percent": 100});
    job
}

fn what_is_watched_can_be_followed_and_cancelled(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let client = Server::shared(runtime).client();
    let source = "import os, time\nos.system('true')\nprint('up', flush=True)\ntime.sleep(60)";
    let job = json!({"language": "python", "source": source, "diagnose": true, "limits": {"run": {"wall_ms": 60_000}}});
    let reply = client.post("/v1/submissions", job.to_string().as_bytes());
    assert_eq!(reply.status, 202, "{}", reply.text());
    let id = reply.json()["id"].as_str().expect("an id").to_owned();
    let mut stream = client.connect().expect("a connection");
    write!(stream, "GET /v1/submissions/{id}/events HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    let (mut events, mut buffer, mut names, mut end) = (Events::default(), [0; 64 << 10], Vec::new(), Value::Null);
    while end.is_null() {
        let n = stream.read(&mut buffer).expect("events");
        assert!(n > 0, "the end after {names:?}");
        events.push(&buffer[..n]);
        while let Some(event) = events.next() {
            if event.name == "output" {
                assert_eq!(event.bytes(), b"up\n");
                let told = client.send("DELETE", &format!("/v1/submissions/{id}"), &[], b"").expect("a reply");
                assert!(matches!(told.status, 200 | 202), "{}", told.text());
            }
            if event.name == "end" {
                end = event.data.clone();
            }
            names.push(event.name);
        }
    }
    assert_eq!((&end["verdict"], &end["run"]["stdout"]), (&json!("cancelled"), &json!("up\n")), "{names:?} {end:#}");
    assert!(end["run"]["refused_calls"].is_array(), "{end:#}");
    assert!(names.ends_with(&["output".to_owned(), "end".to_owned()]), "{names:?}");
}

fn the_command_names_them_too(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let dir = account::directory("programs");
    let path = file(dir.path(), "asks.c", ASKS);
    let run = |arguments: &[&str]| {
        let seen = command::casemate(&Settings::new(runtime), &[&["run"], arguments, &[path.as_str()]].concat(), b"");
        assert_eq!(seen.status.code(), Some(0), "{seen:?}");
        [seen.stdout, seen.stderr].map(|bytes| String::from_utf8(bytes).expect("text"))
    };
    let [out, err] = run(&["--diagnose"]);
    assert_eq!(out, "all of it\n");
    let told: Vec<&str> = err.lines().filter_map(|line| line.strip_prefix("casemate: refused: ")).collect();
    let begins = [
        "unshare: EPERM, 5 times (",
        "socket with argument 0 = 0x2: EPERM, 3 times (",
        "personality with argument 0 = 0x8: ENOSYS, 2 times (",
        "600: ENOSYS, once (",
    ];
    assert_eq!(told.len(), begins.len(), "{err}");
    assert!(told.iter().zip(begins).all(|(told, begin)| told.starts_with(begin)), "{err}");
    let report: Value = serde_json::from_str(&run(&["--json", "--diagnose"])[0]).expect("JSON");
    assert_eq!(lines(&report["run"]), asked(), "{report:#}");
    assert!(report["compile"].get("refused_calls").is_none(), "{report:#}");
    for arguments in [&["--json"][..], &[]] {
        let [out, err] = run(arguments);
        assert!(!out.contains("refused_calls") && !err.contains("refused: "), "{out}{err}");
    }
}

/// As under a filter of whoever starts the service: its jobs run, and a report says that nobody could look.
const WITHOUT_PTRACE: &str = "\
import ctypes, os, struct, sys
number = {'x86_64': 101, 'aarch64': 117}[os.uname().machine]
# Load the number; where it is that of ptrace EPERM, else allow (seccomp(2)).
code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)]
text = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *one) for one in code))
program = struct.pack('HxxxxxxQ', len(code), ctypes.addressof(text))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0): sys.exit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
";

fn where_nobody_can_look_the_run_takes_place(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Root, Need::Python);
    let settings = Settings::new(runtime).behind(&["/usr/bin/python3", "-c", WITHOUT_PTRACE]);
    let server = Server::start(&settings.set("CASEMATE_UNREADY_AFTER", 1));
    let seen = server.client().judge(&c(ASKS));
    assert_eq!((&seen["verdict"], &seen["run"]["stdout"]), (&json!("accepted"), &json!("all of it\n")), "{seen:#}");
    let told = (&seen["run"]["refused_calls"], &seen["run"]["refused_calls_truncated"]);
    assert_eq!(told, (&json!(null), &json!(true)), "{seen:#}");
    let log = server.log();
    let why: Vec<_> = log.lines().filter(|line| line.contains("what a run was refused is not told: ")).collect();
    assert!(why.len() == 1 && why[0].contains("ERROR") && why[0].contains("Operation not permitted"), "{log}");
    assert_eq!(server.client().get("/readyz").status, 200, "no fault of the service");
}

fn file(directory: &std::path::Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).expect("a program");
    account::give(&path);
    path.display().to_string()
}

under_both_runtimes!(
    refused_calls_are_named,
    a_call_that_ends_the_program_is_named,
    who_does_not_ask_is_told_nothing,
    limits_hold_all_the_same,
    no_signal_to_process_1_makes_a_difference,
    what_is_watched_can_be_followed_and_cancelled,
    the_command_names_them_too,
    where_nobody_can_look_the_run_takes_place,
);
