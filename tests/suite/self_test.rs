//! The self-test at start: a limit that does not hold keeps the port closed, and the message names it. The limits are
//! taken away by a program in front of the runtime; the service has no switch for that.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::machine::Place;
use crate::support::{Runtime, Server, Settings, account};
use crate::{needs, program, support::Need, under_both_runtimes};

/// What is taken away: its name in the message, what `sed` makes of the bundle, what a shell does before `start`. A filter
/// without which a socket can be had takes the network along.
struct Weakening {
    names: &'static [&'static str],
    edit: &'static str,
    raise: &'static str,
}

const fn edited(names: &'static [&'static str], edit: &'static str) -> Weakening {
    Weakening { names, edit, raise: ":" }
}

const fn raised(names: &'static [&'static str], raise: &'static str) -> Weakening {
    Weakening { names, edit: "", raise }
}

const WEAKENINGS: [Weakening; 13] = [
    raised(
        &["memory (TimeLimit)"],
        "v1 memory memory.memsw.limit_in_bytes 1073741824; v1 memory memory.limit_in_bytes 1073741824; v2 memory.max max",
    ),
    raised(&["processes (Ok)"], "v1 pids pids.max max; v2 pids.max max"),
    edited(&["file size (Ok)"], r#"s/"type":"RLIMIT_FSIZE"/"type":"RLIMIT_LOCKS"/"#),
    edited(&["open files"], r#"s/"type":"RLIMIT_NOFILE"/"type":"RLIMIT_LOCKS"/"#),
    edited(&["tmpfs size", "tmpfs size (/dev/shm)"], r#"s/"size=1048576"/"size=16777216"/g"#),
    edited(&["tmpfs inodes", "tmpfs inodes (/dev/shm)"], r#"s/"nr_inodes=64"/"nr_inodes=4096"/g"#),
    edited(&["read-only root"], r#"s/"ro"/"rw"/g; s/"readonly":true/"readonly":false/"#),
    edited(&["network", "seccomp"], r#"s/"seccomp":/"without":/"#),
    // What the service itself has given up a container cannot have: `new privileges` is not among the names.
    edited(&["network", "seccomp"], r#"s/"noNewPrivileges":true/"noNewPrivileges":false/; s/"seccomp":/"without":/"#),
    edited(&["network"], r#"s/{"type":"network"},//"#),
    edited(&["namespace ipc"], r#"s/{"type":"ipc"},//"#),
    edited(&["namespace cgroup"], r#"s/,{"type":"cgroup"}//"#),
    edited(
        &["capabilities", "capabilities (bounding set)"],
        r#"s/"\(effective\|permitted\|bounding\|inheritable\|ambient\)":\[\]/"\1":["CAP_NET_RAW"]/g"#,
    ),
];

/// The program in front of the runtime.
fn weakened(runtime: Runtime, edit: &str, raise: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::Builder::new().prefix("cmtest-runtime-").tempdir().expect("a temporary directory");
    let open = |path: &std::path::Path| fs::set_permissions(path, Permissions::from_mode(0o755)).expect("permissions");
    open(directory.path());
    fs::write(directory.path().join("edit"), edit).expect("a file");
    fs::write(directory.path().join("raise"), raise).expect("a file");
    let wrapper = directory.path().join(runtime.name());
    fs::write(&wrapper, program!("runtime/weakened.sh").replace("RUNTIME", runtime.name())).expect("a wrapper");
    open(&wrapper);
    // It keeps its notes there.
    account::give(directory.path());
    (directory, wrapper)
}

fn a_limit_that_does_not_hold_keeps_the_port_closed(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let mut wrong = Vec::new();
    for Weakening { names, edit, raise } in &WEAKENINGS {
        let (_directory, wrapper) = weakened(runtime, edit, raise);
        let settings = Settings::new(runtime).set("CASEMATE_RUNTIME_PATH", wrapper.display());
        match Server::try_start(&settings, Place::shared()) {
            Ok(_) => wrong.push(format!("{names:?}: it serves")),
            Err(failed) => {
                let named = failed.log.lines().find_map(|line| line.split_once("was not stopped: "));
                let named: Vec<&str> = named.map(|(_, names)| names.split(", ").collect()).unwrap_or_default();
                if failed.status.is_none_or(|status| status.success()) || named != *names {
                    wrong.push(format!("{names:?}: {:?}\n{}", failed.status, failed.log));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// It is not the program in front that keeps the port closed.
fn a_runtime_that_takes_nothing_away_serves(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let (_directory, wrapper) = weakened(runtime, "", ":");
    let server = Server::start(&Settings::new(runtime).set("CASEMATE_RUNTIME_PATH", wrapper.display()));
    assert_eq!(server.client().run("python", "print(1)", None).output(), "1\n");
    assert!(server.log().contains("self-test: 7 probes"), "{}", server.log());
}

under_both_runtimes!(a_limit_that_does_not_hold_keeps_the_port_closed, a_runtime_that_takes_nothing_away_serves,);
