//! What the service costs when nothing happens, and how it bears much: `cargo bench --bench capacity -- [PART...]`, where
//! PART is `idle`, `burst`, `workers` or `waiting`; without one, all of them. Tables go to standard output, the figures to
//! `target/bench/capacity.json`, and of the last two a plot to `target/bench/capacity.svg`.

// A bench is a script: a panic is its report, the terminal its output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../tests/support/support.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "each target uses its part of the harness")]
mod support;

#[path = "launch/bare.rs"]
mod bare;
#[path = "capacity/burst.rs"]
mod burst;
#[path = "capacity/idle.rs"]
mod idle;
#[path = "load/mix.rs"]
mod mix;
#[path = "capacity/plot.rs"]
mod plot;
#[path = "launch/rootfs.rs"]
mod rootfs;
#[path = "capacity/scale.rs"]
mod scale;

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};
use support::{Runtime, Settings};

/// A part's name, and what measures it.
type Part = (&'static str, fn() -> Value);

const PARTS: [Part; 4] =
    [("idle", idle::measure), ("burst", burst::measure), ("workers", scale::workers), ("waiting", scale::waiting)];

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    for word in &asked {
        assert!(PARTS.iter().any(|(name, _)| name == word), "{word}: there are idle, burst, workers and waiting");
    }
    let mut all = Map::new();
    for (name, measure) in PARTS {
        if asked.is_empty() || asked.iter().any(|word| word == name) {
            all.insert(name.to_owned(), measure());
        }
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&directory).expect("target/bench");
    plot::draw(all.get("workers"), all.get("waiting"), &directory.join("capacity.svg"));
    fs::write(directory.join("capacity.json"), format!("{:#}\n", Value::Object(all))).expect("capacity.json");
    println!("\n{}", directory.join("capacity.json").display());
}

/// Under crun, with shares of the processor lifted to 100 %.
fn settings() -> Settings {
    Settings::new(Runtime::Crun).limit(&mix::LANGUAGES, "RUN", "CPU_PERCENT", 100)
}
