//! Many users at once. Each submits, asks for the status until the end, and fetches the result. In the open form all
//! submit at the same moment; in the closed loop each waits for a result before the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::figures::Report;
use crate::mix;
use crate::support::Client;
use crate::support::submission::{body, ended};

/// One job as a user saw it.
#[derive(Default)]
struct Trip {
    times: Vec<(&'static str, Duration)>,
    accepted: bool,
    right: bool,
}

/// How long a user waits before he asks again: at first, and at most. Each pause is half as long again as the one
/// before, so that five hundred users who ask do not become the load that is measured.
const PAUSE: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];
/// When he gives up.
const PATIENCE: Duration = Duration::from_secs(600);

pub fn load(client: Client, arguments: &Arguments) -> Report {
    let users = arguments.concurrency.min(arguments.submissions);
    let next = AtomicUsize::new(0);
    let trips = Mutex::new(Vec::new());
    let (start, began) = (Barrier::new(users + 1), Mutex::new(Instant::now()));
    thread::scope(|scope| {
        for _ in 0..users {
            let user = || {
                start.wait();
                let mut waiting = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= arguments.submissions {
                        break;
                    }
                    let mut trip = Trip::default();
                    let language = &arguments.languages[n % arguments.languages.len()];
                    let submitted = submit(client, language, n, &mut trip);
                    match submitted {
                        Some(job) if arguments.closed => keep(&trips, finish(client, &job, trip)),
                        Some(job) => waiting.push((job, trip)),
                        None => keep(&trips, trip),
                    }
                }
                for (job, trip) in waiting {
                    keep(&trips, finish(client, &job, trip));
                }
            };
            thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, user).expect("a thread for each user");
        }
        *began.lock().expect("a time") = Instant::now();
        start.wait();
    });
    let wall = began.into_inner().expect("a time").elapsed();
    let trips = trips.into_inner().expect("the trips of all users");
    let form = if arguments.closed { "in a closed loop" } else { "at once" };
    let mut report = Report {
        title: format!(
            "{} submissions of {}, {users} users {form}, {}",
            arguments.submissions,
            arguments.languages.join(" "),
            arguments.url.as_deref().unwrap_or(arguments.runtime.name()),
        ),
        wall,
        counts: [
            arguments.submissions,
            trips.iter().filter(|trip| trip.accepted).count(),
            trips.iter().filter(|trip| trip.right).count(),
        ],
        ..Report::default()
    };
    for (name, time) in trips.iter().flat_map(|trip| &trip.times) {
        report.requests += usize::from(name.contains('/'));
        report.add(name, *time);
    }
    report
}

fn keep(trips: &Mutex<Vec<Trip>>, trip: Trip) {
    trips.lock().expect("the trips of all users").push(trip);
}

struct Job {
    id: String,
    output: String,
    language: String,
    began: Instant,
}

fn submit(client: Client, language: &str, n: usize, trip: &mut Trip) -> Option<Job> {
    let (code, input, output) = mix::program(language, n);
    let body = body(language, code, Some(&input));
    let began = Instant::now();
    let reply = client.send("POST", "/submit", &[("Content-Type", "application/json")], &body).ok()?;
    trip.times.push(("POST /submit", reply.took));
    if reply.status != 202 {
        return None;
    }
    trip.accepted = true;
    let id = reply.json()["id"].as_str()?.to_owned();
    Some(Job { id, output, language: language.to_owned(), began })
}

fn finish(client: Client, job: &Job, mut trip: Trip) -> Trip {
    let [mut pause, longest] = PAUSE;
    loop {
        if let Ok(reply) = client.send("GET", &format!("/status?id={}", job.id), &[], b"") {
            trip.times.push(("GET /status", reply.took));
            if ended(reply.json()["status"].as_str().unwrap_or_default()) {
                break;
            }
        }
        if job.began.elapsed() > PATIENCE {
            return trip;
        }
        thread::sleep(pause);
        pause = (pause * 3 / 2).min(longest);
    }
    if let Ok(reply) = client.send("GET", &format!("/result?id={}", job.id), &[], b"") {
        trip.times.push(("GET /result", reply.took));
        trip.times.push(("time to result", job.began.elapsed()));
        let result = reply.json();
        let execution = Duration::from_millis(result["executionTime"].as_u64().unwrap_or_default());
        trip.times.push((execution_of(&job.language), execution));
        trip.right = result["status"] == "completed" && result["output"] == job.output.as_str();
    }
    trip
}

fn execution_of(language: &str) -> &'static str {
    match language {
        "python" => "execution, python",
        "java" => "execution, java",
        "c" => "execution, c",
        _ => "execution, cpp",
    }
}
