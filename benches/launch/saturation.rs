//! As many hellos as the machine can take: a closed loop of clients, more than there are processors, each with one job at
//! a time, once asking as clients of the Monaco routes do and once waiting for the reply; beside it loops of the bare
//! interpreter and of the peers, one for each processor.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bare::Shell;
use super::peers;
use super::rootfs::rootfs;
use crate::support::Server;

/// One way of running hellos.
pub struct Way {
    pub name: &'static str,
    /// In a second.
    pub rate: f64,
    /// Processor time of each, in milliseconds: what the processors have, divided by the rate.
    pub each_ms: f64,
    /// What of it the program and its init themselves took, as their cgroup has it; the median, where it is known.
    pub program_ms: Option<f64>,
}

impl Way {
    pub fn json(&self) -> Value {
        let Self { name, rate, each_ms, program_ms } = self;
        json!({"what": name, "rate": rate, "each_ms": each_ms, "program_ms": program_ms})
    }
}

/// Each way of running a hello; the bare program first.
pub fn measure(server: &Server, other: Option<&Server>, time: Duration) -> Vec<Way> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let way = |name, rate: f64| Way { name, rate, each_ms: processors as f64 * 1000.0 / rate, program_ms: None };
    let served = |name, server| {
        let (rate, program_ms) = waiting(server, time, processors * 4);
        Way { program_ms: Some(program_ms), ..way(name, rate) }
    };
    let mut ways = vec![way("bare python3 -c", bare(time, processors))];
    ways.push(way("casemate, asked every 5 ms", ours(server, time, processors * 4)));
    ways.push(served("casemate, /v1 and ?wait", server));
    ways.extend(other.map(|other| served("the other build, ?wait", other)));
    ways.extend(peers::crun(time, processors).map(|rate| way("crun run, same profile", rate)));
    ways.extend(peers::bubblewrap(time, processors).map(|rate| way("bubblewrap", rate)));
    ways.extend(peers::isolate(time, processors).map(|rate| way("isolate", rate)));
    ways
}

fn bare(time: Duration, loops: usize) -> f64 {
    let done = AtomicUsize::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..loops {
            scope.spawn(|| {
                let mut shell = Shell::of(&rootfs("python"));
                while began.elapsed() < time {
                    shell.run("python3 -c \"print('hello')\"", "hello");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

pub fn ours(server: &Server, time: Duration, clients: usize) -> f64 {
    let done = AtomicUsize::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while began.elapsed() < time {
                    let client = server.client();
                    let id = client.submit("python", "print('hello')", None);
                    let result = loop {
                        // A third of what a hello takes here: asking more often would take the processor from the jobs.
                        thread::sleep(Duration::from_millis(5));
                        let result = client.result(&id);
                        if matches!(result["status"].as_str(), Some("completed" | "failed")) {
                            break result;
                        }
                    };
                    assert_eq!(result["output"], "hello\n");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// One request a job: the reply comes with the result. How many in a second, and the median of what a program took, in
/// milliseconds of processor time.
fn waiting(server: &Server, time: Duration, clients: usize) -> (f64, f64) {
    let body = br#"{"language": "python", "source": "print('hello')", "streams": "merged"}"#;
    let took = Mutex::new(Vec::new());
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let client = server.client();
                while began.elapsed() < time {
                    let reply = client.post("/v1/submissions?wait=60", body);
                    let report = reply.json();
                    assert_eq!(report["run"]["stdout"], "hello\n", "{}", reply.text());
                    took.lock().unwrap().push(report["run"]["cpu_us"].as_f64().expect("cpu_us"));
                }
            });
        }
    });
    let rate = took.lock().unwrap().len() as f64 / began.elapsed().as_secs_f64();
    let mut took = took.into_inner().unwrap();
    took.sort_by(f64::total_cmp);
    (rate, took[took.len() / 2] / 1000.0)
}
