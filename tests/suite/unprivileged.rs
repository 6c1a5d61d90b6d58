//! What of a serving casemate the host sees: no process of it is root, none has a capability that counts there, and
//! a program's ids are neither the service's nor anybody's.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Runtime, Server, Settings, account};
use crate::{needs, support::Need, under_both_runtimes};

/// `/proc/<pid>/status` of a process and of everything below it.
fn tree(root: u32) -> BTreeMap<u32, String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let read = |pid: u32| Some((pid, fs::read_to_string(format!("/proc/{pid}/status")).ok()?));
    let all: BTreeMap<u32, String> = pids.filter_map(read).collect();
    let mut found: Vec<u32> = vec![root];
    let mut at = 0;
    while let Some(&parent) = found.get(at) {
        found.extend(all.iter().filter(|(_, status)| numbers(status, "PPid:") == [parent]).map(|(pid, _)| *pid));
        at += 1;
    }
    all.into_iter().filter(|(pid, _)| found.contains(pid)).collect()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
}

fn numbers(status: &str, name: &str) -> Vec<u32> {
    field(status, name).split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

fn nothing_of_it_is_root(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime));
    let id = server.client().submit("c", "#include <unistd.h>\nint main(void) { sleep(8); }", None);
    let deadline = Instant::now() + Duration::from_secs(60);
    // The program is called after its file.
    let seen = loop {
        let seen = tree(server.pid());
        if seen.values().any(|status| field(status, "Name:") == "solution") {
            break seen;
        }
        assert!(Instant::now() < deadline, "the program was never seen: {}", server.log_of(&id));
        thread::sleep(Duration::from_millis(20));
    };
    for status in seen.values() {
        let (uids, gids) = (numbers(status, "Uid:"), numbers(status, "Gid:"));
        assert!(uids.len() == 4 && !uids.contains(&0) && !gids.contains(&0), "{status}");
        // Real, effective, saved and of the file system.
        assert!(uids.iter().all(|uid| *uid == uids[0]), "{status}");
        if field(status, "Name:") == "solution" {
            assert_eq!(u64::from_str_radix(field(status, "CapEff:"), 16), Ok(0), "{status}");
            let uid = account::serving_uid();
            assert!(uids[0] != uid && nix::unistd::User::from_uid(uids[0].into()).unwrap().is_none(), "{status}");
        }
    }
    // A capability counts in a user namespace and what belongs to it: none of these is the host's.
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let host = namespace("self").expect("a namespace of the test's own");
    for (pid, status) in &seen {
        let elsewhere = namespace(&pid.to_string()).is_none_or(|namespace| namespace != host);
        assert!(elsewhere || u64::from_str_radix(field(status, "CapEff:"), 16) == Ok(0), "{status}");
    }
    assert_eq!(numbers(&seen[&server.pid()], "Uid:"), [account::serving_uid(); 4]);
}

under_both_runtimes!(nothing_of_it_is_root);
