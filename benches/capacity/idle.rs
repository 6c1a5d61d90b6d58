//! A service that has nothing to do: its memory, its processor time, and what each container that waits holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::Server;
use crate::support::machine::Place;
use crate::support::process::Process;

/// For how long nothing is asked of it.
const TIME: Duration = Duration::from_secs(20);

pub fn measure() -> Value {
    let server = Server::start_in(&super::settings(), Place::alone());
    // One of each language first: what is made only once it was asked for is there too.
    for language in super::mix::LANGUAGES {
        let (code, input, _) = super::mix::program(language, 1);
        server.client().run(language, code, Some(&input));
    }
    let (outer, inner) = (Process::of(server.pid()), Process::child_of(server.pid()));
    let waiting = settled(inner);
    let (began, before) = (Instant::now(), ticks(outer) + ticks(inner));
    sleep(TIME);
    let busy = (ticks(outer) + ticks(inner) - before) as f64 * 10.0;
    let share = busy / began.elapsed().as_secs_f64() / 10.0;
    println!("\nidle for {} s: {busy:.0} ms of processor time ({share:.2} % of one)", TIME.as_secs());
    println!(
        "memory of the service: {} KiB resident, {} KiB its own; of the process around it: {} and {} KiB",
        inner.rss_kib(),
        inner.own_kib(),
        outer.rss_kib(),
        outer.own_kib()
    );
    println!("{:<44}{:>6}{:>14}", "containers that wait", "", "KiB each");
    for (what, held) in &waiting {
        println!("{what:<44}{:>6}{:>14}", held.len(), held.iter().sum::<u64>() / held.len() as u64 / 1024);
    }
    json!({
        "seconds": TIME.as_secs(), "processor_ms": busy, "rss_kib": inner.rss_kib(), "own_kib": inner.own_kib(),
        "outer_kib": outer.rss_kib(),
        "waiting_bytes": waiting,
    })
}

/// The containers that wait once no more come, by what waits in them, and the bytes that each group holds.
fn settled(inner: Process) -> BTreeMap<String, Vec<u64>> {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let now = containers(inner);
        let count = now.values().map(Vec::len).sum();
        if count != last {
            (last, since) = (count, Instant::now());
        } else if since.elapsed() > Duration::from_secs(5) {
            return now;
        }
        sleep(Duration::from_millis(200));
    }
}

fn containers(inner: Process) -> BTreeMap<String, Vec<u64>> {
    let mut all: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let tasks = fs::read_dir(format!("/proc/{}/task", inner.id())).expect("its threads");
    let children = tasks.flatten().map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default());
    for child in children.collect::<String>().split_whitespace() {
        let Ok(child) = child.parse() else { continue };
        let words = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        let words: Vec<_> = words.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
        // Process 1 of a container, its way of waiting, and the program.
        let [init, how, program, ..] = &words[..] else { continue };
        let groups = Process::of(child).cgroups();
        let held = groups.iter().find_map(|group| held(group)).unwrap_or_default();
        if init.ends_with("/init") {
            all.entry(format!("{how} {program}")).or_default().push(held);
        }
    }
    all
}

fn held(group: &Path) -> Option<u64> {
    let read = |file| fs::read_to_string(group.join(file)).ok()?.trim().parse().ok();
    read("memory.current").or_else(|| read("memory.usage_in_bytes"))
}

/// Processor time of the process in hundredths of a second (proc(5), stat).
fn ticks(process: Process) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("its state");
    let after_name = stat.rsplit_once(") ").expect("a name in brackets").1;
    after_name.split(' ').skip(11).take(2).map(|n| n.parse::<u64>().expect("ticks")).sum()
}
