//! As many hellos as the machine can take: a closed loop of clients, more than there are processors, each with one job at
//! a time, once asking as clients of the Monaco routes do and once waiting for the reply; beside it loops of the bare
//! interpreter and of the peers, one for each processor.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::bare::Shell;
use super::peers;
use super::rootfs::rootfs;
use crate::support::Server;

/// Each way of running a hello, and how many there were in a second; the bare program first.
pub fn measure(server: &Server, other: Option<&Server>, time: Duration) -> Vec<(&'static str, f64)> {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let mut rates = vec![("bare python3 -c", bare(time, processors))];
    rates.push(("casemate, asked every 5 ms", ours(server, time, processors * 4)));
    rates.push(("casemate, /v1 and ?wait", waiting(server, time, processors * 4)));
    rates.extend(other.map(|other| ("the other build, ?wait", waiting(other, time, processors * 4))));
    rates.extend(peers::crun(time, processors).map(|rate| ("crun run, same profile", rate)));
    rates.extend(peers::bubblewrap(time, processors).map(|rate| ("bubblewrap", rate)));
    rates.extend(peers::isolate(time, processors).map(|rate| ("isolate", rate)));
    rates
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

/// One request a job: the reply comes with the result.
fn waiting(server: &Server, time: Duration, clients: usize) -> f64 {
    let body = br#"{"language": "python", "source": "print('hello')", "streams": "merged"}"#;
    let done = AtomicUsize::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                let client = server.client();
                while began.elapsed() < time {
                    let reply = client.post("/v1/submissions?wait=60", body);
                    assert_eq!(reply.json()["run"]["stdout"], "hello\n", "{}", reply.text());
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}
