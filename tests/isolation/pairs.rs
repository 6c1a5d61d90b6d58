//! A sender and a receiver at once in two containers, over every channel that is known (`tests/programs/pairs/`): no bit
//! crosses. What crosses all the same because there is one kernel is in a table of its own, with the reason. The same two
//! programs as two processes of one account outside show that each channel works.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

use super::bits::{BITS, Outcome, Printed, outcome};
use crate::support::machine::Place;
use crate::support::{Runtime, Server, Settings, account};
use crate::{needs, program, support::Need, under_both_runtimes};

const PROGRAM: &str = concat!(
    program!("pairs/begin.py"),
    program!("pairs/locks.py"),
    program!("pairs/watchers.py"),
    program!("pairs/objects.py"),
    program!("pairs/sockets.py"),
    program!("pairs/files.py"),
    program!("pairs/counters.py"),
    program!("pairs/shares.py"),
    program!("pairs/processes.py"),
    program!("pairs/end.py"),
);

/// Open because jobs share a kernel. Timing is not in the list, because it needs no test: two jobs share processors,
/// caches, memory and disk, and each can feel the other's load.
const OPEN: [(&str, &str); 6] = [
    ("flock_of_a_device", "a device is one inode for the machine; only root could make others"),
    ("flock_of_a_namespace", "the namespace of time is the machine's: crun 1.8 and runc 1.1 know no other"),
    ("flock_of_an_epoll_instance", "the kernel has one inode for all epoll instances, timers, events and signals"),
    ("memory_by_sysinfo", "libc has no other way to ask for the size of memory, and takes a refusal for an answer"),
    ("number_of_an_eventfd", "one sequence for the machine, shown to the owner of each"),
    ("page_by_counting_blocks", "pages of an image are in memory once, and reading one takes time when it is not"),
];

/// Not to be had by an ordinary user outside either.
const NEEDS_ROOT_OUTSIDE: [&str; 1] = ["host_name"];

/// One pair at a time: what is counted for the whole machine would mix.
fn turn() -> Flock<fs::File> {
    let path = std::env::temp_dir().join("cmtest-pairs.lock");
    // A lock needs no right to write, so that another user's file will do.
    let file = fs::File::open(&path).or_else(|_| fs::OpenOptions::new().create(true).append(true).open(&path));
    Flock::lock(file.expect("a file to lock"), FlockArg::LockExclusive).map_err(|(_, errno)| errno).expect("its lock")
}

/// Where the first slot is that both can be in time for.
fn timetable(slot: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs_f64();
    format!("{} {slot} {BITS}", now + 2.0 + 4.0 * slot)
}

/// Rounds until one is in time, with longer and longer slots: a busy machine is no finding.
fn rounds(mut round: impl FnMut(f64) -> [Printed; 2]) -> impl Iterator<Item = [Printed; 2]> {
    let in_time = move |slot: f64| {
        let printed = round(slot);
        let late = printed.iter().map(|one| one.late).fold(0.0, f64::max);
        println!("slots of {slot} s: late by {late:.3} s");
        (late < slot * 0.3).then_some(printed)
    };
    [0.25, 0.5, 1.0, 2.0, 2.0].into_iter().filter_map(in_time)
}

fn in_containers(server: &Server, slot: f64) -> [Printed; 2] {
    let client = server.client();
    let times = timetable(slot);
    let ids = ["send", "receive"].map(|role| client.submit("python", PROGRAM, Some(&format!("{role} {times} - - -"))));
    ids.map(|id| {
        let seen = client.finish(&id, Instant::now() + Duration::from_secs(90)).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(seen.state(), "completed", "{}\n{}", seen.result, server.log_of(&id));
        Printed::read(seen.output())
    })
}

fn no_bit_crosses(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    // All that a pair may need, so that only walls can be what stops it.
    let python = ["python"];
    let settings = Settings::new(runtime)
        .set("MAX_WORKERS", 2)
        .limit(&python, "RUN", "CPU_PERCENT", 0)
        .limit(&python, "RUN", "WALL_MS", 60_000)
        .limit(&python, "RUN", "CPU_SECONDS", 60)
        .limit(&python, "RUN", "OPEN_FILES", 1000)
        .limit(&python, "RUN", "MEMORY_MIB", 400);
    let server = Server::start(&settings);
    let _turn = turn();
    let (mut told, mut in_time) = (Vec::new(), 0);
    for [sent, seen] in rounds(|slot| in_containers(&server, slot)).take(3) {
        in_time += 1;
        assert!(seen.seen.len() > 35, "{seen:?}");
        let mut wrong = Vec::new();
        for (name, values) in &seen.seen {
            let open = OPEN.iter().any(|(open, _)| open == name);
            match outcome(values) {
                Outcome::Crossed if open => told.push(name.clone()),
                Outcome::Silent => {}
                _ if open => {}
                found => wrong.push(format!("{name}: {found:?}, {values:?}; the sender had {:?}", sent.seen[name])),
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        if OPEN.iter().all(|(name, _)| told.iter().any(|one| one == name)) {
            return;
        }
    }
    assert!(in_time > 0, "no round was in time");
    // The table must not say more than is true.
    let shut: Vec<_> = OPEN.iter().filter(|(name, _)| !told.iter().any(|one| one == name)).collect();
    assert!(shut.is_empty(), "called open, and no bit crossed: {shut:?}");
}

under_both_runtimes!(no_bit_crosses);

/// The user that both are outside, where root runs the tests: nobody's, so that what they use up is missed by nobody.
const NOBODY_S: u32 = 61_184;

/// The files that two processes outside share, on a disk: what is in memory anyway leaves no trace of being read.
fn shared_files(dir: &Path) {
    fs::create_dir(dir.join("watched")).expect("a directory");
    let names = ["", ".init", ".lease", ".watch", ".fan", ".read", ".page", ".block"];
    let files = names.iter().map(|name| dir.join(format!("shared{name}"))).chain([dir.join("watched/file")]);
    let files: Vec<_> = files.collect();
    for path in &files {
        let mut file = fs::File::create(path).expect("a file");
        file.write_all(&vec![b'x'; 256 << 10]).and_then(|()| file.sync_all()).expect("its bytes on disk");
    }
    for path in [dir.to_owned(), dir.join("watched")].iter().chain(&files).filter(|_| account::is_root()) {
        chown(path, Some(NOBODY_S), Some(NOBODY_S)).expect("owner of a path of the test");
    }
}

/// A process of one and the same user, waiting for its standard input.
fn outside(dir: &Path) -> Child {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", PROGRAM]).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
    if account::is_root() {
        command.uid(NOBODY_S).gid(NOBODY_S);
    }
    command.spawn().expect("python3")
}

fn in_processes(slot: f64) -> [Printed; 2] {
    let dir = tempfile::Builder::new().prefix("cmtest-pairs-").tempdir_in("/var/tmp").expect("a directory");
    shared_files(dir.path());
    let mut both = [outside(dir.path()), outside(dir.path())];
    let times = timetable(slot);
    let pids = [both[1].id(), both[0].id()];
    for ((child, role), other) in both.iter_mut().zip(["send", "receive"]).zip(pids) {
        let place = dir.path().display();
        let words = format!("{role} {times} {other} {place}/shared {place}");
        child.stdin.take().expect("a pipe").write_all(words.as_bytes()).expect("its input");
    }
    both.map(|child| {
        let output = child.wait_with_output().expect("its end");
        assert!(output.status.success(), "{:?}", output.status);
        Printed::read(&String::from_utf8_lossy(&output.stdout))
    })
}

/// The contrast: where nothing is between the two, the bits arrive.
#[test]
fn every_channel_works_outside() {
    needs!(Need::Python);
    // An ordinary user's own keys and pipes are used up for a moment, and his servers want some.
    let _place = if account::is_root() { Place::shared() } else { Place::alone() };
    let _turn = turn();
    let (mut open, mut last) = (Vec::new(), None);
    for [sent, seen] in rounds(in_processes).take(4) {
        open.extend(seen.seen.iter().filter(|(_, values)| outcome(values) == Outcome::Crossed).map(|(n, _)| n.clone()));
        let missing: Vec<_> = seen.seen.keys().filter(|name| !open.contains(name)).cloned().collect();
        let explained = |name: &str| {
            // A kernel without that family of sockets has no such channel.
            NEEDS_ROOT_OUTSIDE.contains(&name)
                || seen.seen[name].iter().all(|v| v == "Address family not supported by protocol")
        };
        let silent: Vec<(String, Vec<Value>, Vec<Value>)> = missing
            .iter()
            .filter(|name| !explained(name))
            .map(|name| (name.clone(), seen.seen[name].clone(), sent.seen[name].clone()))
            .collect();
        if silent.is_empty() {
            return;
        }
        last = Some(silent);
    }
    panic!("no bit crossed outside either: {last:#?}");
}
