//! Five hundred submissions at once, of four languages, each another program; beside it the processor time that the bare
//! programs need on the same processors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bare::Shell;
use super::mix::{LANGUAGES, program};
use super::rootfs::rootfs;
use crate::support::machine::Place;
use crate::support::submission::ended;
use crate::support::{Client, Server};

const ALL: usize = 500;
const USERS: usize = 20;
/// How often the bare program is measured, in each language.
const TIMES: usize = 6;

const JAVA: &str = "javac -encoding UTF-8 Scanned.java && echo '1 1' | java -XX:+TieredCompilation -XX:TieredStopAtLevel=1 -Xverify:none -Xms64m -Xmx256m Scanned 2>/dev/null";

/// The name of the file, the image, and what a shell runs.
fn by_hand(language: &str) -> (&'static str, &'static str, &'static str) {
    match language {
        "python" => ("h.py", "python", "echo '1 1' | python3 -c \"$(cat h.py)\""),
        "c" => ("h.c", "gcc", "gcc -pipe -o solution h.c -lm && echo '1 1' | ./solution"),
        "cpp" => ("h.cpp", "gcc", "g++ -std=gnu++17 -pipe -o solution h.cpp && echo '1 1' | ./solution"),
        _ => ("Scanned.java", "java", JAVA),
    }
}

/// Each program another one: a comment behind it.
fn another(language: &str, n: usize) -> (String, String, String) {
    let (code, input, output) = program(language, n);
    let sign = if language == "python" { "#" } else { "//" };
    (format!("{code}\n{sign} {n}\n"), input, output)
}

pub fn measure() -> Value {
    let place = Place::alone();
    let bare: Vec<f64> = LANGUAGES.iter().map(|language| processor_time(language)).collect();
    let needed: f64 = bare.iter().map(|one| one * ALL as f64 / LANGUAGES.len() as f64).sum();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let floor = needed / processors as f64;
    let server = Server::start_in(&super::settings(), place);
    let (took, right) = all(server.client());
    println!("\n{ALL} mixed submissions at once: {took:.1} s, {right} with the right answer");
    for (language, one) in LANGUAGES.iter().zip(&bare) {
        println!("  bare {language:<8}{:>9.1} ms of processor time", one * 1e3);
    }
    println!(
        "  the bare programs: {needed:.1} s of processor time, {floor:.1} s on {processors} processors: {:.2}",
        took / floor
    );
    json!({
        "submissions": ALL, "seconds": took, "right": right, "bare_processor_s": needed, "processors": processors,
        "ratio": took / floor,
    })
}

fn all(client: Client) -> (f64, usize) {
    let (next, right) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..USERS {
            scope.spawn(|| {
                let mut mine = Vec::new();
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= ALL {
                        break;
                    }
                    let language = LANGUAGES[n % LANGUAGES.len()];
                    let (code, input, output) = another(language, n);
                    mine.push((client.submit(language, &code, Some(&input)), output));
                }
                // The last that was submitted ends last; asking twenty times a second in all costs next to nothing.
                for (id, output) in mine.into_iter().rev() {
                    let result = loop {
                        let result = client.result(&id);
                        if ended(result["status"].as_str().unwrap_or_default()) {
                            break result;
                        }
                        thread::sleep(Duration::from_secs(1));
                    };
                    right.fetch_add(usize::from(result["output"] == output), Ordering::Relaxed);
                }
            });
        }
    });
    (began.elapsed().as_secs_f64(), right.into_inner())
}

/// Seconds that one bare program of the mix takes of a processor, in the middle of several.
fn processor_time(language: &str) -> f64 {
    let (file, image, command) = by_hand(language);
    let mut shell = Shell::of(&rootfs(image));
    let (code, ..) = another(language, 0);
    shell.write(file, &code);
    // `times` of a shell: the second line is of its children, user and system.
    let used = |shell: &mut Shell| -> f64 {
        let told = shell.say("times > spent; tail -n 1 spent");
        told.split_whitespace()
            .map(|time| {
                let (minutes, seconds) = time.trim_end_matches('s').split_once('m').expect("minutes and seconds");
                minutes.parse::<f64>().unwrap_or_default() * 60.0 + seconds.parse::<f64>().unwrap_or_default()
            })
            .sum()
    };
    shell.run(command, "2");
    let before = used(&mut shell);
    for _ in 0..TIMES {
        shell.run(command, "2");
    }
    (used(&mut shell) - before) / TIMES as f64
}
