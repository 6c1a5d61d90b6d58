//! The long soak: `cargo bench --bench soak -- --jobs 10000 --rounds 20 --runtime crun`.
//!
//! Mixed jobs in rounds over one server; after each round its memory, descriptors, cgroups, mounts, processes and files
//! on the stage. A table goes to standard output, the plot to `target/bench/soak.svg`. Fails when something grew.

// A bench is a script: a panic is its report, the terminal its output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../tests/support/support.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "each target uses its part of the harness")]
mod support;

#[path = "soak/plot.rs"]
mod plot;

use std::fs;
use std::path::Path;

use support::machine::Place;
use support::soak::{NAMES, grown, settings, slope, soak};
use support::{Runtime, Server, Settings};

/// What memory may grow by with each job, in KiB.
const KEPT: f64 = 2.0;

fn main() {
    let (mut jobs, mut rounds, mut runtime) = (10_000, 20, Runtime::Crun);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
        match word.as_str() {
            "--jobs" => jobs = number(),
            "--rounds" => rounds = number(),
            "--runtime" => {
                runtime = if words.next().as_deref() == Some("runc") { Runtime::Runc } else { Runtime::Crun }
            }
            // Cargo's own word for a bench.
            "--bench" => {}
            other => panic!("{other}: there are --jobs, --rounds and --runtime"),
        }
    }
    let server = Server::start_in(&settings(Settings::new(runtime)), Place::shared());
    let samples = soak(&server, jobs / rounds, rounds);
    println!("{:>7} {:>9} {}", "jobs", "seconds", NAMES.map(|name| format!("{name:>18}")).join(" "));
    for sample in &samples {
        let values = sample.values.map(|value| format!("{value:>18}")).join(" ");
        println!("{:>7} {:>9.1} {values}", sample.jobs, sample.seconds);
    }
    println!("memory: {:.3} KiB more with each job", slope(&samples[samples.len() / 4..]));
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&directory).expect("target/bench");
    let title = format!("{} mixed jobs, {}", jobs / rounds * rounds, runtime.name());
    plot::draw(&title, &samples, &directory.join("soak.svg"));
    println!("{}", directory.join("soak.svg").display());
    let wrong = grown(&samples, KEPT);
    if !wrong.is_empty() {
        println!("{}", wrong.join("\n"));
        drop(server);
        std::process::exit(1);
    }
}
