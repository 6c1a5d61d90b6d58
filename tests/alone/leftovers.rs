//! After any end of the service nothing of it is left: no process, no cgroup, no mount, no directory of a job.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::machine::Place;
use crate::support::scale::patience;
use crate::support::{Client, Runtime, Server, Settings};
use crate::traces::{Traces, deaf, processes, tree};
use crate::{needs, program, support::Need, under_both_runtimes};

/// A program of the attack suite.
macro_rules! attack {
    ($path:literal) => {
        include_str!(concat!("../attacks/programs/", $path))
    };
}

/// One job of every kind of ending, so that every way out has been taken.
fn every_ending(client: Client) -> Vec<String> {
    let jobs = [
        ("python", "print('ok')"),
        ("python", "import sys; sys.exit(3)"),
        ("python", "import os; os.kill(os.getpid(), 9)"),
        ("python", "x = b'x' * (200 << 20)"),
        ("python", program!("python/sleeping_child.py")),
        ("python", program!("python/deaf.py")),
        ("python", program!("python/daemon.py")),
        ("python", program!("python/processes.py")),
        ("python", "while True: print('x' * 1000000)"),
        ("c", program!("c/hello.c")),
        ("c", "int main(void) { return nothing; }"),
        ("c", program!("c/endless_includes.c")),
        ("cpp", program!("cpp/throw.cpp")),
        ("java", program!("java/Hello.java")),
        ("java", "public class A { int x = \"\"; }"),
        ("c", attack!("exhaustion/fork_bomb.c")),
        ("c", attack!("exhaustion/zombies.c")),
        ("c", attack!("exhaustion/deep_directories.c")),
        ("c", attack!("exhaustion/descriptors_in_flight.c")),
        ("c", attack!("exhaustion/epoll_watches.c")),
        ("c", attack!("exhaustion/semaphores.c")),
        ("c", attack!("exhaustion/crashes.c")),
        ("c", attack!("exhaustion/stopped.c")),
        ("python", attack!("exhaustion/odd_names.py")),
    ];
    let mut ids: Vec<String> =
        jobs.iter().map(|(language, code)| client.submit(language, code, Some("input"))).collect();
    // Containers are made ahead for runs that then do not take place: of those kept for any job, and of the job's own.
    for limits in [json!({}), json!({"run": {"wall_ms": 1400}})] {
        let tests = [json!({"expected": "no"}), json!({}), json!({}), json!({})];
        let body =
            json!({"language": "python", "source": "pass", "tests": tests, "stop_on_failure": true, "limits": limits});
        let reply = client.post("/v1/submissions", body.to_string().as_bytes()).json();
        ids.push(reply["id"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned());
    }
    ids
}

fn short(runtime: Runtime) -> Settings {
    let settings = Settings::new(runtime).limit(&["c"], "COMPILE", "WALL_MS", 1500);
    // As many containers wait before as after, whatever was asked for lately.
    let settings = settings.set("CASEMATE_POOL__LEAST", 1).set("CASEMATE_POOL__MOST", 1);
    settings.limit(&["python"], "RUN", "WALL_MS", 1500).limit(&["python"], "RUN", "OUTPUT_BYTES", 100_000)
}

/// After the last job, with the server still up: its cgroups and directories are as they were before the first.
fn nothing_is_left_of_ended_jobs(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let place = Place::alone();
    let before = Traces::now();
    let mut server = Server::start_in(&short(runtime), place);
    let client = server.client();
    // The first job may make what is kept for all: pools, directories of slots.
    for _ in 0..3 {
        client.run("python", "print('warm')", None);
        client.run("c", program!("c/hello.c"), None);
    }
    // The compiler of Java waits only once it was asked for.
    client.run("java", program!("java/Hello.java"), None);
    let (idle, files) = (Traces::settled(patience(Duration::from_secs(5))), tree(server.home()));
    let deadline = Instant::now() + patience(Duration::from_secs(90));
    for id in every_ending(client) {
        client.finish(&id, deadline).expect("an end");
    }
    // Containers that wait for a job may be renewed, so their number counts, not their names.
    let settled = Instant::now() + patience(Duration::from_secs(5));
    loop {
        let now = Traces::now();
        let counts = |t: &Traces| (t.processes.len(), t.cgroups.len(), t.mounts.clone());
        let grown = tree(server.home()).len().saturating_sub(files.len());
        if counts(&now) == counts(&idle) && grown == 0 {
            break;
        }
        let left = idle.left_after(Duration::ZERO);
        let added: Vec<_> = tree(server.home()).difference(&files).cloned().collect();
        assert!(Instant::now() < settled, "left after every job has ended: {left:#?}\nfiles: {added:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(server.stop().map(|status| status.code()), Some(Some(0)), "{}", server.log());
    assert_eq!(before.left_after(patience(Duration::from_secs(3))), Vec::<String>::new());
}

/// SIGTERM while jobs run and wait.
fn nothing_is_left_of_a_busy_server(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let place = Place::alone();
    let before = Traces::now();
    let mut server = Server::start_in(&Settings::new(runtime).set("QUEUE_SIZE", 4), place);
    let client = server.client();
    let first = every_ending(client)[4].clone();
    let deadline = Instant::now() + patience(Duration::from_secs(30));
    client.until(&first, deadline, |state| state != "pending").expect("some to run");
    assert_eq!(server.stop().map(|status| status.code()), Some(Some(0)), "{}", server.log());
    assert_eq!(before.left_after(patience(Duration::from_secs(3))), Vec::<String>::new());
}

/// `kill -9` of the process that was started: every container dies with it, at once.
fn containers_die_with_a_killed_server(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let place = Place::alone();
    let before = Traces::now();
    let mut server = Server::start_in(&Settings::new(runtime), place);
    let client = server.client();
    let ids: Vec<_> = (0..3).map(|_| client.submit("python", program!("python/deaf.py"), None)).collect();
    let deadline = Instant::now() + patience(Duration::from_secs(10));
    for id in &ids {
        client.until(id, deadline, |state| state == "running").expect("all three to run");
    }
    // A job counts as running from the moment a worker takes it; its program follows. Containers that wait for a job have
    // processes too, and come and go: only these programs ignore SIGTERM.
    while deaf() < ids.len() {
        assert!(Instant::now() < deadline, "not every program came to run: {:?}", processes());
        std::thread::sleep(Duration::from_millis(5));
    }
    server.end(Signal::SIGKILL);
    let killed = Instant::now();
    let processes_left = || -> Vec<String> { processes().difference(&before.processes).cloned().collect() };
    while !processes_left().is_empty() && killed.elapsed() < patience(Duration::from_secs(2)) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(processes_left(), Vec::<String>::new(), "alive two seconds after the server was killed");
    assert_eq!(Traces::now().mounts, before.mounts);

    // Cgroups have no owner that could remove them then: the next start does.
    drop(server);
    let mut next = Server::start_in(&Settings::new(runtime), Place::alone());
    assert_eq!(next.client().run("python", "print('again')", None).output(), "again\n");
    next.stop();
    assert_eq!(
        before.left_after(patience(Duration::from_secs(3))),
        Vec::<String>::new(),
        "after the next start and stop"
    );
}

under_both_runtimes!(
    nothing_is_left_of_ended_jobs,
    nothing_is_left_of_a_busy_server,
    containers_die_with_a_killed_server,
);
