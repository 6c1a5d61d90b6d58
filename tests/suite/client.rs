//! `docs/client.py`, as somebody who has copied it uses it.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Runtime, Server};
use crate::{needs, support::Need, under_both_runtimes};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/client.py");

/// The library: submits, waits, follows, cancels, and hears why it was refused.
const LIBRARY: &str = r#"
import sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True
from client import Casemate, Refused, content, text
client = Casemate(sys.argv[2])
result = client.run("python", "print(input())", stdin="hello")
assert (result["verdict"], result["run"]["stdout"]) == ("accepted", "hello\n"), result
files = {"main.py": "import other; print(other.x)", "other.py": "x = 7"}
first, again = (client.submit("python", files=files, entry="main.py", key="one-submission") for _ in range(2))
assert first["id"] == again["id"] and client.wait(first["id"])["run"]["stdout"] == "7\n", (first, again)
told = list(client.follow(client.submit("python", "import sys; sys.stdout.buffer.write(b'a\\xffb')")["id"]))
assert b"".join(content(data) for event, data in told if event == "output") == b"a\xffb", told
assert told[-1][0] == "end" and told[-1][1]["verdict"] == "accepted", told
sleeps = client.submit("python", "import time; print('up', flush=True); time.sleep(9)")
for event, data in client.follow(sleeps["id"]):
    if event == "output":
        assert text(data) == "up\n"
        client.cancel(sleeps["id"])
assert (event, data["verdict"]) == ("end", "cancelled"), (event, data)
try:
    client.submit("no such", "x")
    raise AssertionError("it was accepted")
except Refused as refused:
    assert refused.problem["field"] == "language", refused.problem
print("all good")
"#;

/// A service that is busy, goes away in every way and comes back: what was asked for comes in the end, after pauses as long as it
/// says, within a bound. One that does not come back is given up.
const PATIENCE: &str = r#"
import http.server, json, sys, threading; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True
import client
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_): pass
    def answer(self, status, body, headers={}, length=None):
        body = body.encode()
        self.send_response(status)
        for name, value in {"Content-Length": length or len(body), **headers}.items(): self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Last-Event-ID")))
        how = self.script.pop(0) if self.script else "busy"
        self.close_connection = True
        problem = lambda **more: json.dumps({"detail": "d", "remedy": "r", **more})
        if how == "busy": self.answer(503, problem(status=503), {"Retry-After": "7"})
        if how == "long": self.answer(503, problem(status=503), {"Retry-After": "3600"})
        if how == "mute": self.answer(503, "no JSON")
        if how == "cut": self.answer(200, "{", length=100)
        if how == "few": self.answer(422, problem(status=422, field="?wait", ceiling=5))
        if how == "never": self.answer(404, problem(status=404))
        if how == "runs": self.answer(200, '{"ended_at": null}')
        if how == "done": self.answer(200, '{"ended_at": "now", "verdict": "accepted"}')
        if how == "first": self.answer(200, 'event: output\nid: a-1\ndata: {}\n\n')
        if how == "end": self.answer(200, 'event: end\nid: a-2\ndata: {}\n\n')
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
pauses = []
class Time: sleep = pauses.append
client.time = Time
casemate = client.Casemate(f"http://127.0.0.1:{server.server_port}")
def play(*script):
    Handler.script, Handler.asked = list(script), []
    pauses.clear()
play("busy", "gone", "cut", "long", "mute", "runs", "few", "busy", "done")
assert casemate.wait("x")["verdict"] == "accepted"
assert pauses == [7, 1, 2, 30, 8, 7], pauses
assert [path.partition("=")[2] for path, _ in Handler.asked] == ["30"] * 7 + ["5"] * 2, Handler.asked
play("busy", "first", "gone", "busy", "end")
assert [name for name, _ in casemate.follow("x")] == ["output", "end"]
assert [last for _, last in Handler.asked] == [None, None, "a-1", "a-1", "a-1"], Handler.asked
for script, times in [((), client.TRIES), (("never",), 1)]:
    for ask in (casemate.wait, lambda id: list(casemate.follow(id))):
        play(*script)
        try:
            ask("x")
            raise AssertionError("it came")
        except client.Refused:
            assert len(Handler.asked) == times, Handler.asked
print("all good")
"#;

#[test]
fn the_client_is_patient_within_bounds() {
    needs!(Need::Python);
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
    let seen = Command::new("python3").args(["-B", "-c", PATIENCE, docs]).output().expect("python3");
    assert_eq!(String::from_utf8_lossy(&seen.stdout), "all good\n", "{}", String::from_utf8_lossy(&seen.stderr));
}

fn the_client_does_what_it_says(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Python);
    let address = format!("http://{}", Server::shared(runtime).addresses[0]);
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/docs");
    let seen = Command::new("python3").args(["-B", "-c", LIBRARY, docs, &address]).output().expect("python3");
    assert_eq!(String::from_utf8_lossy(&seen.stdout), "all good\n", "{}", String::from_utf8_lossy(&seen.stderr));

    let directory = tempfile::tempdir().expect("a directory");
    let program = directory.path().join("twice.py");
    let source = "import sys, time\nprint('first', flush=True)\ntime.sleep(2)\nprint(input())\nsys.exit(3)";
    std::fs::write(&program, source).expect("a program");
    let mut command = Command::new("python3");
    command.args(["-B", CLIENT, &address]).arg(&program);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python3");
    child.stdin.take().expect("a pipe").write_all("é".as_bytes()).expect("input");
    let (mut first, mut out) = ([0; 6], child.stdout.take().expect("a pipe"));
    out.read_exact(&mut first).expect("output");
    let came = Instant::now();
    let (mut rest, mut words) = (String::new(), String::new());
    out.read_to_string(&mut rest).expect("output");
    assert!(came.elapsed() > Duration::from_millis(1500), "it came with the end: {:?}", came.elapsed());
    child.stderr.take().expect("a pipe").read_to_string(&mut words).expect("its last words");
    assert_eq!((&first, rest.as_str()), (b"first\n", "é\n"), "{words}");
    assert!(words.ends_with("twice.py: exit_status\n"), "{words}");
    assert_eq!(child.wait().expect("its end").code(), Some(1));
}

under_both_runtimes!(the_client_does_what_it_says);
