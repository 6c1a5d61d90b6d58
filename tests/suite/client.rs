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
