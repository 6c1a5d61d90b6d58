//! One Python hello after another, submit to result, taking turns with the bare program, so that both meet the same
//! machine. Bare is the interpreter of the image that jobs run in, started by its own loader, else the host's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::{Report, percentile};
use crate::support::submission::ended;
use crate::support::{Client, account};

const HELLO: &str = "print('hello')";
/// The granularity of a user who wants the result at once.
const PAUSE: Duration = Duration::from_micros(500);

pub fn measure(client: Client, times: usize) -> Report {
    let (bare, whose) = bare_python();
    let mut report = Report {
        title: format!("{times} lone Python hellos; bare: {whose}"),
        counts: [times, times, 0],
        ..Report::default()
    };
    let began = Instant::now();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // Not counted: files come into the page cache.
    for turn in 0..times + 3 {
        let (bare, (hello, right, requests)) = (bare_once(&bare), hello_once(client));
        if turn >= 3 {
            theirs.push(bare);
            ours.push(hello);
            report.counts[2] += usize::from(right);
            report.requests += requests;
        }
    }
    report.wall = began.elapsed();
    ours.iter().for_each(|time| report.add("submit to result", *time));
    theirs.iter().for_each(|time| report.add("bare program", *time));
    ours.sort_unstable();
    theirs.sort_unstable();
    for (name, percent) in [("ratio of the medians", 50), ("ratio of the p95s", 95)] {
        let ratio = percentile(&ours, percent).as_secs_f64() / percentile(&theirs, percent).as_secs_f64().max(1e-9);
        report.more.insert(name.to_owned(), ratio);
    }
    report
}

fn hello_once(client: Client) -> (Duration, bool, usize) {
    let began = Instant::now();
    let id = client.submit("python", HELLO, None);
    let mut requests = 1;
    loop {
        let result = client.result(&id);
        requests += 1;
        if ended(result["status"].as_str().unwrap_or_default()) {
            return (began.elapsed(), result["output"] == "hello\n", requests);
        }
        assert!(began.elapsed() < Duration::from_secs(30), "no result of a hello: {result}");
        thread::sleep(PAUSE);
    }
}

fn bare_once(words: &[String]) -> Duration {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args(["-c", HELLO]).env_clear().env("HOME", "/tmp").env("LANG", "C.UTF-8");
    if let Some(root) = words.iter().find_map(|word| word.strip_suffix("/usr/bin/python3")) {
        command.env("PYTHONHOME", format!("{root}/usr"));
    }
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("the bare interpreter");
    let took = began.elapsed();
    assert_eq!(output.stdout, b"hello\n", "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    took
}

/// The command that starts an interpreter, and whose it is.
fn bare_python() -> (Vec<String>, &'static str) {
    match interpreter_of_the_image(&account::images()) {
        Some(command) => (command, "the image's interpreter, outside any container"),
        None => (vec!["/usr/bin/python3".to_owned()], "the host's interpreter"),
    }
}

/// Looks for `usr/bin/python3` in or just below an image's directory.
fn interpreter_of_the_image(images: &Path) -> Option<Vec<String>> {
    let below = |directory: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    };
    let near: Vec<_> = below(images).into_iter().filter(|path| path.to_string_lossy().contains("python")).collect();
    let deeper: Vec<_> = near.iter().flat_map(|path| below(path)).collect();
    let root = near.into_iter().chain(deeper).find(|root| root.join("usr/bin/python3").exists())?;
    let loader =
        ["lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"]
            .map(|path| root.join(path));
    // An absolute link would lead to the host's loader: only a file of the image will do.
    let loader = loader.into_iter().find(|path| path.canonicalize().is_ok_and(|real| real.starts_with(&root)))?;
    let root = root.display().to_string();
    let libraries = format!("{root}/lib/x86_64-linux-gnu:{root}/usr/lib/x86_64-linux-gnu");
    Some(vec![loader.display().to_string(), "--library-path".to_owned(), libraries, format!("{root}/usr/bin/python3")])
}
