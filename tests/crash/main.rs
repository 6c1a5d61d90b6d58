//! `kill -9` at random moments under load: whatever was accepted is answered, right, once, and stays so.
//!
//! Two services are killed. One is the real binary with real containers; it takes a second to start, so that it is killed
//! some dozens of times. The other has the real edge, ledger and store with a worker that only pretends, in a process of
//! its own; it is back within milliseconds. `CMTEST_KILLS` sets how often that one is killed.

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::cast_precision_loss)]

#[path = "../support/support.rs"]
#[allow(dead_code, reason = "each target uses its part of the harness")]
mod support;
#[path = "../alone/traces.rs"]
#[allow(dead_code, reason = "the same")]
mod traces;

mod load;
mod pretender;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use load::Load;
use pretender::Pretender;
use support::machine::Place;
use support::{Need, Runtime, Server, Settings, account};
use traces::Traces;

/// How often the service with the pretending worker is killed.
const KILLS: usize = 170;

/// How often the real one is, under each runtime.
const REAL_KILLS: usize = 15;

/// A number that nobody chose, between the two.
fn random(from: u64, to: u64) -> u64 {
    from + u64::try_from(uuid::Uuid::new_v4().as_u128() % u128::from(to - from)).unwrap_or(from)
}

#[test]
fn slow_killed_at_random_moments() {
    pretender::serve_if_asked();
    let kills = std::env::var("CMTEST_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let home = tempfile::tempdir().expect("a directory");
    let mut load = Load::new(|n| (format!("job {n}"), format!("done {n}\n")));
    let began = Instant::now();
    for _ in 0..kills {
        let service = Pretender::start(home.path());
        load.against(service.address(), Duration::from_millis(random(5, 250)));
        service.kill();
    }
    let service = Pretender::start(home.path());
    let figures = load.settle(service.address());
    println!("{kills} kills in {:?}: {figures}", began.elapsed());
    service.kill();
    figures.check(kills);
    assert!(figures.accepted > kills / 2, "too little was going on: {figures}");
}

fn killed_with_real_containers(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let place = Place::alone();
    let before = Traces::now();
    let settings = Settings::new(runtime);
    let mut load = Load::new(|n| (format!("print('done', {n})"), format!("done {n}\n")));
    let began = Instant::now();
    let mut home = account::directory("home");
    for _ in 0..REAL_KILLS {
        let server = Server::try_start_at(&settings, &[], place.again(), home).expect("a start");
        load.against(server.addresses[0], Duration::from_millis(random(50, 1200)));
        home = server.leave(Signal::SIGKILL);
    }
    let mut server = Server::try_start_at(&settings, &[], place.again(), home).expect("a start");
    let figures = load.settle(server.addresses[0]);
    println!("{REAL_KILLS} kills under {} in {:?}: {figures}", runtime.name(), began.elapsed());
    assert_eq!(server.stop().map(|status| status.code()), Some(Some(0)), "{}", server.log());
    let leaked = before.left_after(Duration::from_secs(3));
    println!("leaked: {}", leaked.len());
    figures.check(REAL_KILLS);
    assert_eq!(leaked, Vec::<String>::new());
}

under_both_runtimes!(killed_with_real_containers);
