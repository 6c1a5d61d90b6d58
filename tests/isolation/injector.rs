//! The tracer that makes a system call of a server fail (`tests/programs/faults/inject.py`), as a child.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::Server;
use crate::support::process::Process;

const TRACER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/faults/inject.py");

/// A tracer over a server. The server goes on without it when it is dropped.
pub struct Injector {
    child: Child,
    commands: ChildStdin,
    lines: Receiver<String>,
}

impl Injector {
    pub fn over(server: &Server) -> Self {
        let service = Process::child_of(server.pid()).id().to_string();
        let mut command = Command::new("/usr/bin/python3");
        command.args([TRACER, &service]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3");
        let (send, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let injector = Self { commands: child.stdin.take().expect("a pipe"), child, lines };
        injector.until_ready();
        injector
    }

    /// What it says until it is ready.
    fn until_ready(&self) -> Vec<String> {
        let next = || self.lines.recv_timeout(Duration::from_secs(20)).expect("the tracer");
        std::iter::repeat_with(next).take_while(|line| line != "ready").collect()
    }

    fn say(&mut self, line: &str) -> Vec<String> {
        writeln!(self.commands, "{line}").expect("the tracer");
        self.until_ready()
    }

    /// Names every call that is made while `work` goes on.
    pub fn record(&mut self, work: impl FnOnce()) -> Vec<String> {
        self.say("record");
        work();
        self.say("rest").iter().filter_map(|line| line.strip_prefix("call ").map(str::to_owned)).collect()
    }

    /// Has `call` fail while `work` goes on; whether it was made.
    pub fn fail<T>(&mut self, call: &str, work: impl FnOnce() -> T) -> (bool, T) {
        self.say(&format!("fail {call}"));
        let done = work();
        (self.say("rest").iter().any(|line| line.starts_with("failed ")), done)
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        // It holds nothing: the kernel lets go of what it traced.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
