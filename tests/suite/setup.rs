//! `casemate setup` on a machine that lacks images only, with a builder that does not end by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::needs;
use crate::support::machine::Place;
use crate::support::{Need, Settings, account, scale};

/// Stands in for mmdebstrap: notes itself and a helper of its own, and then does nothing for ever.
const BUILDER: &str = r#"#!/bin/sh
[ "$1" = --unshare-helper ] && exit 0
sh -c 'echo $$ >"$0/helper-$$"; exec sleep 1000' DIR &
echo $$ >"DIR/builder-$$"
wait
"#;

fn pids(directory: &Path) -> Vec<Pid> {
    let texts = fs::read_dir(directory).expect("notes").flatten().map(|file| fs::read_to_string(file.path()));
    texts.filter_map(|text| text.ok()?.trim().parse().ok()).map(Pid::from_raw).collect()
}

fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + scale::patience(Duration::from_secs(20));
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn ends_with_its_builders(signal: Signal) {
    needs!(Need::Account, Need::Delegation);
    let _place = Place::shared();
    let (home, bin, notes) = (account::directory("home"), account::directory("bin"), account::directory("notes"));
    let builder = bin.path().join("mmdebstrap");
    fs::write(&builder, BUILDER.replace("DIR", &notes.path().display().to_string())).expect("a builder");
    fs::set_permissions(&builder, fs::Permissions::from_mode(0o755)).expect("its mode");
    let mut command = Settings::bare().command(home.path());
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap_or_default());
    command.env("PATH", path).arg("setup").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().expect("the binary");
    // Builds run side by side, at least one; each has a helper.
    until("a builder and its helper", || pids(notes.path()).len() >= 2);
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), signal).expect("a signal");
    let ended = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(128 + signal as i32), "{said}");
    assert!(said.contains("stopped"), "{said}");
    let left: Vec<_> = pids(notes.path()).into_iter().filter(|pid| kill(*pid, None).is_ok()).collect();
    assert_eq!(left, [], "still there after the end of set-up");
}

#[test]
fn sigterm_ends_a_set_up_that_builds_images() {
    ends_with_its_builders(Signal::SIGTERM);
}

#[test]
fn an_interrupt_ends_a_set_up_that_builds_images() {
    ends_with_its_builders(Signal::SIGINT);
}
