//! Makes system calls in a job under a profile and tells how each ended.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::program;
use crate::support::{Runtime, Server, Settings, account, command};

/// The program.
pub const PROGRAM: &str = program!("c/syscalls.c");

/// One call of the probe.
#[derive(Clone, Debug)]
pub struct Call {
    pub label: String,
    pub way: char,
    pub number: u64,
    pub args: [u64; 6],
}

impl Call {
    pub fn native(label: impl Into<String>, number: u64, args: &[u64]) -> Self {
        let mut six = [0; 6];
        six[..args.len()].copy_from_slice(args);
        Self { label: label.into(), way: 'n', number, args: six }
    }

    /// Where the filter refuses it: it never waits for anything.
    pub fn refused(self) -> Self {
        Self { way: 'r', ..self }
    }

    fn line(&self) -> String {
        let args: Vec<String> = self.args.iter().map(|arg| format!("{arg:x}")).collect();
        format!("{} {:x} {}\n", self.way, self.number, args.join(" "))
    }
}

/// A language whose program makes calls, in a directory of settings that lives as long.
pub struct Probe {
    dir: TempDir,
    settings: Settings,
}

impl Probe {
    /// Its runs are under `profile`.
    pub fn new(runtime: Runtime, profile: &str) -> Self {
        let dir = account::directory("settings");
        let languages = dir.path().join("languages");
        fs::create_dir(&languages).expect("a directory");
        account::give(&languages);
        let language = format!(
            "image = \"gcc\"\nsource = \"probe.c\"\n[compile]\nargv = [\"/usr/bin/gcc\", \"-o\", \"/code/probe\", \
             \"/code/probe.c\"]\n[run]\nargv = [\"/code/probe\"]\nprofile = \"{profile}\"\n\
             [run.limits]\nwall_ms = 60000\n"
        );
        write(&languages.join("probe.toml"), &language);
        // Unthrottled: a process for each call.
        let settings = Settings::new(runtime).set("CASEMATE_SETTINGS", dir.path().display());
        let settings = settings.limit(&["probe"], "RUN", "CPU_PERCENT", 0).limit(&["probe"], "RUN", "CPU_SECONDS", 10);
        Self { dir, settings }
    }

    /// A server that speaks it.
    pub fn server(&self) -> Server {
        Server::start(&self.settings)
    }
}

/// What the program reads.
pub fn input(calls: &[Call]) -> String {
    calls.iter().map(Call::line).collect()
}

/// What it printed, one number a call.
pub fn answers(output: &str) -> Vec<i32> {
    output.lines().map(|line| line.parse().expect("a number")).collect()
}

/// Makes the calls in a run under `profile`: for each 0, the errno, or the negative signal that ended the caller.
pub fn probe(runtime: Runtime, profile: &str, calls: &[Call]) -> Vec<i32> {
    let probe = Probe::new(runtime, profile);
    let path = probe.dir.path().join("probe.c");
    write(&path, PROGRAM);
    let arguments = ["run", "--language", "probe", &path.display().to_string()];
    let seen = command::casemate(&probe.settings, &arguments, input(calls).as_bytes());
    let answers = answers(&String::from_utf8_lossy(&seen.stdout));
    let err = String::from_utf8_lossy(&seen.stderr);
    assert_eq!(answers.len(), calls.len(), "the probe ended early: {:?} {err}", seen.status);
    answers
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file of the test");
    account::give(path);
}
