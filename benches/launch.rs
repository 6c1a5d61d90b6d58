//! What a job costs beside the bare program: `cargo bench --bench launch -- [--times N] [--seconds N]
//! [--runtime crun|runc] [--against BINARY]`.
//!
//! Two questions, each answered by ratios within this one run. How long is it from `POST /submit` to the whole result,
//! beside the same toolchain of the same image started by a shell (`bare.rs`)? And how many hellos are there per second
//! when every processor is busy, beside the bare interpreter, a plain `crun run` with the same profile, and bubblewrap
//! (`peers.rs`)? With `--against`, another build of the service takes its turn in everything: what a change is worth is
//! seen within one run. Processor shares are lifted to 100 %. A table goes to standard output, the figures to
//! `target/bench/launch.json`.

// A bench is a script: a panic is its report, the terminal its output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../tests/support/support.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "each target uses its part of the harness")]
mod support;

#[path = "launch/bare.rs"]
mod bare;
#[path = "launch/latency.rs"]
mod latency;
#[path = "launch/peers.rs"]
mod peers;
#[path = "launch/rootfs.rs"]
mod rootfs;
#[path = "launch/saturation.rs"]
mod saturation;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use support::machine::Place;
use support::{Runtime, Server, Settings};

fn main() {
    let (mut times, mut seconds, mut runtime, mut against) = (60, 6, Runtime::Crun, None);
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_default();
        match (word.as_str(), value.parse::<usize>()) {
            ("--times", Ok(n)) => times = n,
            ("--seconds", Ok(n)) => seconds = n,
            ("--runtime", _) if value == "runc" => runtime = Runtime::Runc,
            ("--runtime", _) if value == "crun" => {}
            ("--against", _) => against = Some(PathBuf::from(value)),
            _ => panic!("{word} {value}: there are --times N, --seconds N, --runtime crun|runc and --against BINARY"),
        }
    }
    let languages = ["python", "java", "c", "cpp"];
    let settings = Settings::new(runtime).limit(&languages, "RUN", "CPU_PERCENT", 100).set("CASEMATE_POOL__LEAST", 2);
    // As docs/OPERATIONS.md says for a machine that is to be kept busy.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let settings = settings.set("MAX_WORKERS", processors * 2);
    let place = Place::alone();
    let server = Server::start_in(&settings, place.again());
    let other = against.map(|binary| Server::start_in(&settings.clone().binary(binary), place.again()));
    let rows = latency::measure(&server, other.as_ref(), times);
    println!(
        "{:<28}{:>4}{:>18}{:>18}{:>7}{:>8}{:>18}",
        "milliseconds, p50 (p95)", "n", "casemate", "bare", "ratio", "at p95", "the other build"
    );
    for row in &rows {
        row.print();
    }
    let many = saturation::measure(&server, other.as_ref(), Duration::from_secs(seconds as u64));
    println!(
        "\n{:<36}{:>10}{:>10}{:>16}{:>16}",
        "Python hellos, every processor busy", "a second", "of bare", "ms of each", "the program's"
    );
    let bare = many.first().map_or(0.0, |way| way.rate);
    for saturation::Way { name, rate, each_ms, program_ms } in &many {
        let program = program_ms.map(|ms| format!("{ms:.2}")).unwrap_or_default();
        println!("{name:<36}{rate:>10.1}{:>10.2}{each_ms:>16.2}{program:>16}", rate / bare);
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&directory).expect("target/bench");
    let all = json!({
        "latency": rows.iter().map(latency::Row::json).collect::<Vec<_>>(),
        "per_second": many.iter().map(saturation::Way::json).collect::<Vec<_>>(),
    });
    fs::write(directory.join("launch.json"), format!("{all:#}\n")).expect("launch.json");
    println!("\n{}", directory.join("launch.json").display());
}
