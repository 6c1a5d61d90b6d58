//! The load test: `cargo bench --bench load -- --submissions 500 --concurrency 500 --languages python,java,c,cpp`.
//!
//! Starts a server of its own, or takes `--url`. Three ways to load it: all submissions at once (the default), a closed
//! loop of users who each wait for a result before the next (`--closed`), and one lone hello after another, compared with
//! the bare program in the same run (`--lone N`). A table goes to standard output; figures and a plot as
//! `target/bench/load.json` and `load.svg`.

// A bench is a script: a panic is its report, the terminal its output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

#[path = "../tests/support/support.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "each target uses its part of the harness")]
mod support;

#[path = "load/arguments.rs"]
mod arguments;
#[path = "load/figures.rs"]
mod figures;
#[path = "load/lone.rs"]
mod lone;
#[path = "load/mix.rs"]
mod mix;
#[path = "load/plot.rs"]
mod plot;
#[path = "load/users.rs"]
mod users;

use std::fs;
use std::net::ToSocketAddrs;
use std::path::Path;

use support::machine::Place;
use support::{Client, Server, Settings};

fn main() {
    let arguments = match arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(text) => {
            eprintln!("{text}");
            std::process::exit(2);
        }
    };
    let server = arguments.url.is_none().then(|| {
        let settings =
            arguments.set.iter().fold(Settings::new(arguments.runtime), |all, (name, value)| all.set(name, value));
        Server::start_in(&settings, Place::alone())
    });
    let client = match &server {
        Some(server) => server.client(),
        None => Client::new(address(arguments.url.as_deref().unwrap_or_default())),
    };
    let report = match arguments.lone {
        Some(times) => lone::measure(client, times),
        None => users::load(client, &arguments),
    };
    report.print();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&directory).expect("target/bench");
    fs::write(directory.join("load.json"), format!("{:#}\n", report.json())).expect("load.json");
    plot::draw(&report, &directory.join("load.svg"));
    println!("\n{}", directory.join("load.{json,svg}").display());
    if !report.good() {
        println!("fewer than 95 % completed with the right output");
        drop(server);
        std::process::exit(1);
    }
}

/// The address behind `http://host:port`.
fn address(url: &str) -> std::net::SocketAddr {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let found = host.to_socket_addrs().ok().and_then(|mut all| all.next());
    found.unwrap_or_else(|| panic!("--url {url}: give it as http://127.0.0.1:8080"))
}
