//! Whether the cost of a job stays the same with more workers, and with more that waits.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::machine::Place;
use crate::support::submission::ended;
use crate::support::{Client, Server};

const TIME: Duration = Duration::from_secs(5);
const HELLO: &str = "print('hello')";

/// Hellos per second with 1, 2, 4 and 8 workers.
pub fn workers() -> Value {
    println!("\n{:<12}{:>18}", "workers", "hellos per second");
    let rows = [1usize, 2, 4, 8].map(|workers| {
        let settings = super::settings().set("MAX_WORKERS", workers);
        let server = Server::start_in(&settings, Place::alone());
        // Not counted: containers are made ahead, filters are compiled.
        rate(server.client(), workers * 2, Duration::from_secs(1));
        let rate = rate(server.client(), workers * 2, TIME);
        println!("{workers:<12}{rate:>18.1}");
        json!({"workers": workers, "per_second": rate})
    });
    Value::from(rows.to_vec())
}

/// What an admission, a look at one that waits, and the jobs at the front cost with so many waiting.
pub fn waiting() -> Value {
    println!("\n{:<12}{:>14}{:>14}{:>20}", "waiting", "submit, ms", "status, ms", "hellos per second");
    let rows = [10usize, 1000, 10_000].map(|waiting| {
        let settings = super::settings().set("MAX_WORKERS", 2).set("CASEMATE_MAX_PENDING", 40_000);
        let server = Server::start_in(&settings.limit(&["python"], "RUN", "WALL_MS", 300_000), Place::alone());
        let client = server.client();
        // Both workers are held up while the rest comes and is looked at.
        let held: Vec<_> = (0..2).map(|_| client.submit("python", "import time; time.sleep(290)", None)).collect();
        let line = fill(client, waiting);
        let mut last = String::new();
        let submit = median(|| last = client.submit("python", HELLO, None));
        let status = median(|| drop(client.status(&last)));
        let front = waiting.min(300);
        let began = Instant::now();
        for id in held {
            let reply = client.send("DELETE", &format!("/v1/submissions/{id}"), &[], b"").expect("a reply");
            assert!(matches!(reply.status, 200 | 202), "{}", reply.text());
        }
        let deadline = began + Duration::from_secs(120);
        client.until(&line[front - 1], deadline, ended).expect("the end of those in front");
        let rate = front as f64 / began.elapsed().as_secs_f64();
        println!("{waiting:<12}{submit:>14.2}{status:>14.2}{rate:>20.1}");
        let mut server = server;
        server.end(Signal::SIGKILL);
        json!({"waiting": waiting, "submit_ms": submit, "status_ms": status, "per_second": rate})
    });
    Value::from(rows.to_vec())
}

/// Submits so many; their ids in the order of arrival.
fn fill(client: Client, count: usize) -> Vec<String> {
    let line = Mutex::new(vec![String::new(); count]);
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= count {
                        break;
                    }
                    let id = client.submit("python", HELLO, None);
                    line.lock().expect("the line")[n] = id;
                }
            });
        }
    });
    line.into_inner().expect("the line")
}

/// Milliseconds, the median of 51.
fn median(mut call: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..51)
        .map(|_| {
            let began = Instant::now();
            call();
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[25]
}

/// Hellos that so many clients get done in a second, each with one at a time.
fn rate(client: Client, clients: usize, time: Duration) -> f64 {
    let done = AtomicUsize::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                while began.elapsed() < time {
                    client.run("python", HELLO, None);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.into_inner() as f64 / began.elapsed().as_secs_f64()
}
