//! Guards against gross slowness. The promised ratios are measured by `cargo bench --bench load -- --lone`; a debug
//! build on a busy machine can only show that nothing is off by an order of magnitude.

use std::time::{Duration, Instant};

use crate::support::machine::Place;
use crate::support::{Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

/// From the start of the process: listening within 2 s once set up, and the very first hello within 2 s of its submission.
fn a_cold_start_and_a_cold_hello(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let place = Place::alone();
    let began = Instant::now();
    let server = Server::start_in(&Settings::new(runtime), place);
    let started = began.elapsed();
    let began = Instant::now();
    let seen = server.client().run("python", "print('hello')", None);
    let hello = began.elapsed();
    println!("listening after {started:?}, first hello after {hello:?}");
    assert_eq!(seen.output(), "hello\n");
    // Twice what is promised for a release build.
    assert!(started < Duration::from_secs(4), "listening after {started:?}\n{}", server.log());
    assert!(hello < Duration::from_secs(2), "the first hello took {hello:?}\n{}", server.log());
}

/// The median lone hello, submit to result, of a server that is warm.
fn a_lone_hello(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start_in(&Settings::new(runtime), Place::alone());
    let client = server.client();
    let mut times: Vec<_> = (0..15)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(client.run("python", "print('hello')", None).output(), "hello\n");
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("a lone hello: median {:?} of {times:?}", times[7]);
    assert!(times[7] < Duration::from_millis(250), "the median hello took {:?} of {times:?}", times[7]);
}

under_both_runtimes!(a_cold_start_and_a_cold_hello, a_lone_hello);
