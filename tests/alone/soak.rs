//! The short soak. `cargo bench --bench soak` is the long one.

use crate::support::machine::Place;
use crate::support::soak::{NAMES, Sample, grown, settings, soak};
use crate::support::{Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

/// What memory may grow by with each job, in KiB: a run as short as this sees the allocator's own ups and downs.
const KEPT: f64 = 16.0;

fn slow_nothing_grows(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Root);
    let server = Server::start_in(&settings(Settings::new(runtime)), Place::alone());
    let samples = soak(&server, 60, 5);
    samples.iter().for_each(|sample| println!("{sample:?}"));
    assert_eq!(grown(&samples, KEPT), Vec::<String>::new());
}

/// Fabricated figures, so that it is seen to fail.
#[test]
fn what_grows_is_found() {
    let sample = |jobs: usize, memory: u64, counts: u64| {
        let mut values = [counts; 6];
        values[0] = memory;
        Sample { jobs, seconds: 0.0, values }
    };
    let flat: Vec<_> = (0..9).map(|n| sample(n * 100, 10_000 + (n as u64 % 2) * 300, 7)).collect();
    assert_eq!(grown(&flat, 1.0), Vec::<String>::new());
    let leaks: Vec<_> = (0..9).map(|n| sample(n * 100, 10_000 + n as u64 * 200, 7)).collect();
    assert_eq!(grown(&leaks, 1.0), ["memory grows by 2.00 KiB with each job"]);
    for (which, name) in NAMES.iter().enumerate().skip(1) {
        let mut left = flat.clone();
        left[8].values[which] += 1;
        assert_eq!(grown(&left, 1.0), [format!("{name}: 7 before, 8 after 800 jobs")]);
    }
}

under_both_runtimes!(slow_nothing_grows);
