//! 500 submissions at once, as the contract says; and 20 users at a time.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::client::TIMEOUT;
use crate::support::machine::Place;
use crate::support::submission::{body, ended};
use crate::support::{Runtime, Server, Settings};
use crate::{needs, program, support::Need, under_both_runtimes};

const SUBMISSIONS: usize = 500;

/// The `n`-th program of the mix, its input and what it prints.
fn nth(n: usize) -> (&'static str, &'static str, Option<String>, String) {
    let pair = (Some(format!("{n} 1\n")), format!("{}\n", n + 1));
    match n % 10 {
        0..=4 => ("python", "print('hello')", None, "hello\n".to_owned()),
        5 | 6 => ("c", program!("c/sum.c"), pair.0, pair.1),
        7 | 8 => ("cpp", program!("cpp/sum.cpp"), pair.0, pair.1),
        _ => ("java", program!("java/Scanned.java"), pair.0, pair.1),
    }
}

pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent).div_ceil(100).saturating_sub(1)]
}

fn slow_five_hundred_at_once(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start_in(&Settings::new(runtime), Place::alone());
    let client = server.client();
    let start = Arc::new(Barrier::new(SUBMISSIONS));
    let users: Vec<_> = (0..SUBMISSIONS)
        .map(|n| {
            let start = start.clone();
            let user = thread::Builder::new().stack_size(256 << 10);
            let run = move || {
                let (language, code, input, _) = nth(n);
                let body = body(language, code, input.as_deref());
                start.wait();
                let began = Instant::now();
                let reply = client.send("POST", "/submit", &[], &body).map_err(|error| error.to_string())?;
                match reply.json()["id"].as_str() {
                    Some(id) if reply.status == 202 => Ok((id.to_owned(), began.elapsed())),
                    _ => Err(reply.text()),
                }
            };
            user.spawn(run).expect("a thread for each user")
        })
        .collect();
    let accepted: Vec<Result<(String, Duration), String>> =
        users.into_iter().map(|u| u.join().expect("a user")).collect();
    let refused: Vec<_> = accepted.iter().filter_map(|one| one.as_ref().err()).collect();
    assert!(refused.is_empty(), "{} were not accepted: {refused:?}", refused.len());
    let accepted: Vec<_> = accepted.into_iter().flatten().collect();
    let slowest = accepted.iter().map(|(_, took)| *took).max().unwrap_or_default();
    assert!(slowest < TIMEOUT, "the slowest was accepted after {slowest:?}");

    // Every worker is busy for as long as the first of the last ten has not begun to run.
    let (mut times, mut busy) = (Vec::new(), 0);
    let deadline = Instant::now() + Duration::from_secs(400);
    for (n, (id, _)) in accepted.iter().enumerate() {
        loop {
            let reply = client.get(&format!("/status?id={id}"));
            times.push(reply.took);
            if ended(reply.json()["status"].as_str().unwrap_or_default()) {
                break;
            }
            if n < SUBMISSIONS - 10 {
                busy = busy.max(client.stats()[2]);
            }
            assert!(Instant::now() < deadline, "{n} of {SUBMISSIONS} had ended at the deadline");
            thread::sleep(Duration::from_millis(10));
        }
    }
    let p95 = percentile(&mut times, 95);
    let right = |(n, (id, _)): &(usize, &(String, Duration))| {
        let result = client.result(id);
        result["status"] == "completed" && result["output"] == nth(*n).3.as_str()
    };
    let completed = accepted.iter().enumerate().filter(right).count();
    println!("accepted within {slowest:?}, {completed} completed, /status p95 {p95:?} of {}", times.len());
    assert!(completed * 100 >= SUBMISSIONS * 95, "{completed} of {SUBMISSIONS} completed with the right output");
    assert!(p95 < Duration::from_millis(100), "p95 of /status is {p95:?} of {}", times.len());
    assert_eq!(busy, 3, "all workers were busy");
    assert_eq!(client.stats(), [0, 3, 0, SUBMISSIONS as u64]);
}

/// Twenty users, each with one job after another.
fn twenty_users(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start_in(&Settings::new(runtime), Place::alone());
    let client = server.client();
    let users: Vec<_> = (0..20)
        .map(|user| {
            thread::spawn(move || {
                let deadline = Instant::now() + Duration::from_secs(120);
                let mut wrong = Vec::new();
                for n in user..user + 3 {
                    let (language, code, input, output) = nth(n);
                    let id = client.submit(language, code, input.as_deref());
                    match client.finish(&id, deadline) {
                        Ok(seen) if seen.state() == "completed" && seen.output() == output => {}
                        Ok(seen) => wrong.push(seen.result.to_string()),
                        Err(why) => wrong.push(why),
                    }
                }
                wrong
            })
        })
        .collect();
    let wrong: Vec<_> = users.into_iter().flat_map(|user| user.join().expect("a user")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

under_both_runtimes!(slow_five_hundred_at_once, twenty_users);
