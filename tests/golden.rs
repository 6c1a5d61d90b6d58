//! The whole `config.json` of every language and step, as files that a reviewer reads: a change to the sandbox is a diff.
//! `tests/golden/<language>-<step>-<v1|v2>.json`, with limits set by the service (cgroup v1) and by the runtime (v2);
//! the filters of system calls stand once in `seccomp-<profile>.json`. What must never be otherwise is asserted on the
//! values too, so that rewriting the files cannot hide it.
//!
//! `UPDATE_GOLDEN=1 cargo test --test golden` writes them anew.

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use casemate::bundle::{INIT_PATH, Ids, JOB_UID, Plan, Started, Surface, diff, docker_default, spec};
use casemate::image::MOUNT_POINTS;
use casemate::language::{Ahead, Languages};
use casemate::model::Limits;
use casemate::seccomp::{Policy, Profiles};
use serde_json::{Value, json};

/// Every configuration by the name of its file, without its filter but with the name of the profile.
fn configurations() -> BTreeMap<String, Value> {
    let languages = Languages::load(None).unwrap();
    let mut all = BTreeMap::new();
    for language in languages.iter() {
        let compile = language.compile_ahead().map(|step| ("compile", step, language.compile_limits().unwrap()));
        for (step, ahead, limits) in compile.into_iter().chain([("run", language.run_ahead(), language.run_limits())]) {
            for (version, cgroup) in [("v1", None), ("v2", Some("/jobs/c0"))] {
                if ahead.warm.is_some() {
                    let config = configuration(&language.image, step, &ahead, limits, cgroup);
                    all.insert(format!("{}-{step}-warm-{version}", language.name), config);
                }
                let mut cold = ahead.clone();
                cold.cool();
                let config = configuration(&language.image, step, &cold, limits, cgroup);
                all.insert(format!("{}-{step}-{version}", language.name), config);
            }
        }
    }
    all
}

fn configuration(image: &str, step: &str, ahead: &Ahead, limits: &Limits, cgroup: Option<&str>) -> Value {
    let filter = Profiles::load(None).unwrap().get(&ahead.profile).unwrap().to_oci().unwrap();
    let started = Started::of(ahead, Path::new("/stage/kits"));
    let plan = Plan {
        begin: started.begin,
        argv: started.argv,
        binds: &started.binds,
        env: &ahead.env,
        cwd: &ahead.cwd,
        limits,
        start_up: started.start_up,
        core: 1,
        seccomp: filter.clone(),
        compiled_filter: None,
        rootfs: &Path::new("/stage/roots").join(image),
        code: (!ahead.warm.as_ref().is_some_and(|kit| kit.takes_source)).then_some(Path::new("/stage/jobs/0/code")),
        code_writable: step == "compile",
        ids: Ids { root: 1, job: 2 },
        cgroup,
    };
    let mut config = serde_json::to_value(spec(&plan).unwrap()).unwrap();
    let found = config["linux"]["seccomp"].take();
    assert_eq!(found, serde_json::to_value(filter).unwrap(), "the filter is the profile's, unchanged");
    config["linux"]["seccomp"] = json!(format!("(seccomp-{}.json)", ahead.profile));
    config
}

fn filters() -> BTreeMap<String, Value> {
    let profiles = Profiles::load(None).unwrap();
    let filter = |name: &str| serde_json::to_value(profiles.get(name).unwrap().to_oci().unwrap()).unwrap();
    profiles.names().map(|name| (format!("seccomp-{name}"), filter(name))).collect()
}

#[test]
fn the_files_show_what_is_made() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut made: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (name, value) in configurations().into_iter().chain(filters()) {
        made.insert(dir.join(format!("{name}.json")), serde_json::to_string_pretty(&value).unwrap() + "\n");
    }
    let stored = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    // What commands print is text, and its suite holds it against them.
    let stored: BTreeSet<PathBuf> = stored.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        for path in stored.iter().filter(|path| !made.contains_key(*path)) {
            fs::remove_file(path).unwrap();
        }
        for (path, text) in &made {
            fs::write(path, text).unwrap();
        }
        return;
    }
    let mut wrong = String::new();
    for (path, text) in &made {
        let before = fs::read_to_string(path).unwrap_or_default();
        if before != *text {
            wrong += &format!("--- {}\n+++ what is made now\n{}", path.display(), difference(&before, text));
        }
    }
    for path in stored.iter().filter(|path| !made.contains_key(*path)) {
        wrong += &format!("{} belongs to no language and step\n", path.display());
    }
    assert!(wrong.is_empty(), "{wrong}if this is meant: UPDATE_GOLDEN=1 cargo test --test golden");
}

/// What `casemate bundle --diff docker-default` says of a run of C and of javac, where the runtime sets the limits. On cgroup v1 it says
/// as much: what the service sets is no part of the configuration, and counts all the same.
#[test]
fn the_difference_to_docker_is_a_file() {
    let (languages, profiles) = (Languages::load(None).unwrap(), Profiles::load(None).unwrap());
    let mut wrong = String::new();
    for (name, step) in [("c", "run"), ("java", "compile")] {
        let language = languages.get(name).unwrap();
        let (mut ahead, limits) = match step {
            "run" => (language.run_ahead(), language.run_limits()),
            _ => (language.compile_ahead().unwrap(), language.compile_limits().unwrap()),
        };
        ahead.cool();
        let said = ["/jobs/c0"].map(Some).into_iter().chain([None]).map(|cgroup| {
            let config = configuration(&language.image, step, &ahead, limits, cgroup);
            let filter = Policy::of(&ahead.profile, profiles.get(&ahead.profile).unwrap());
            diff(&Surface::ours(&config, filter, limits), &docker_default().unwrap())
        });
        let said: Vec<String> = said.collect();
        assert_eq!(said[0], said[1], "{name} {step}: cgroup v1 differs from v2");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/docker-default-{name}-{step}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
            fs::write(&path, &said[0]).unwrap();
        }
        let before = fs::read_to_string(&path).unwrap_or_default();
        if before != said[0] {
            wrong += &format!("--- {}\n+++ what is said now\n{}", path.display(), difference(&before, &said[0]));
        }
    }
    assert!(wrong.is_empty(), "{wrong}if this is meant: UPDATE_GOLDEN=1 cargo test --test golden");
}

/// Lines that went with `-`, lines that came with `+`, two around them, the number of the line where each place begins.
fn difference(before: &str, after: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    // The longest common subsequence of what follows each pair of lines.
    let mut common = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            lines.push((' ', j, a[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || (i < a.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', j, a[i]));
            i += 1;
        } else {
            lines.push(('+', j, b[j]));
            j += 1;
        }
    }
    let near = |at: usize| lines[at.saturating_sub(2)..lines.len().min(at + 3)].iter().any(|line| line.0 != ' ');
    let mut text = String::new();
    for at in (0..lines.len()).filter(|&at| near(at)) {
        if at == 0 || !near(at - 1) {
            text += &format!("@@ line {}\n", lines[at].1 + 1);
        }
        text += &format!("{}{}\n", lines[at].0, lines[at].2);
    }
    text
}

#[test]
fn a_difference_is_readable() {
    let seen = difference("a\nb\nc\nd\ne\nf\n", "a\nb\nc\nD\ne\nf\ng\n");
    assert_eq!(seen, "@@ line 2\n b\n c\n-d\n+D\n e\n f\n+g\n");
    assert_eq!(difference("a\n", "a\n"), "");
    assert_eq!(difference("", "a\n"), "@@ line 1\n+a\n");
}

/// Names of the fields of an object, in order.
fn fields(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

fn strings(value: &Value) -> Vec<&str> {
    items(value).iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn there_is_nothing_that_was_not_asked_for() {
    for (name, config) in configurations() {
        assert_eq!(fields(&config), ["hostname", "linux", "mounts", "ociVersion", "process", "root"], "{name}");
        let process = ["args", "capabilities", "cwd", "env", "noNewPrivileges", "rlimits", "terminal", "user"];
        assert_eq!(fields(&config["process"]), process, "{name}");
        assert_eq!(fields(&config["root"]), ["path", "readonly"], "{name}");
        assert!(items(&config["mounts"]).iter().all(|m| fields(m) == ["destination", "options", "source", "type"]));
        let common = ["gidMappings", "namespaces", "seccomp", "uidMappings"];
        let on_v2 = ["cgroupsPath", "resources"];
        let v2 = name.ends_with("-v2");
        let wanted: BTreeSet<&str> = common.into_iter().chain(on_v2.into_iter().filter(|_| v2)).collect();
        assert_eq!(fields(&config["linux"]), wanted.into_iter().collect::<Vec<_>>(), "{name}");
        if v2 {
            let resources = &config["linux"]["resources"];
            let quota = resources.get("cpu").is_some();
            assert_eq!(fields(resources), if quota { &["cpu", "memory", "pids"][..] } else { &["memory", "pids"] });
            assert_eq!(fields(&resources["memory"]), ["limit", "swap"], "{name}");
            assert_eq!(fields(&resources["pids"]), ["limit"], "{name}");
            assert!(!quota || fields(&resources["cpu"]) == ["period", "quota"], "{name}");
        }
    }
}

#[test]
fn no_privilege_is_left() {
    for (name, config) in configurations() {
        let process = &config["process"];
        for set in ["ambient", "bounding", "effective", "inheritable", "permitted"] {
            assert_eq!(process["capabilities"][set], json!([]), "{name}: {set}");
        }
        assert_eq!(process["noNewPrivileges"], true, "{name}");
        assert_eq!(process["terminal"], false, "{name}");
        assert_eq!(process["user"], json!({"uid": JOB_UID, "gid": JOB_UID, "additionalGids": []}), "{name}");
        assert_eq!(process["args"][0], INIT_PATH, "{name}");
        assert!(config.get("hooks").is_none(), "{name}");
        let core = items(&process["rlimits"]).iter().find(|limit| limit["type"] == "RLIMIT_CORE").unwrap();
        assert_eq!((&core["hard"], &core["soft"]), (&json!(1), &json!(1)), "{name}");
        for limit in items(&process["rlimits"]) {
            assert_eq!(limit["hard"], limit["soft"], "{name}: {limit}");
        }
    }
}

#[test]
fn every_namespace_is_new_and_no_id_is_the_service_s() {
    let wanted = ["cgroup", "ipc", "mount", "network", "pid", "user", "uts"];
    for (name, config) in configurations() {
        let linux = &config["linux"];
        let kinds: BTreeSet<&str> = items(&linux["namespaces"]).iter().map(|n| n["type"].as_str().unwrap()).collect();
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), wanted, "{name}");
        assert!(items(&linux["namespaces"]).iter().all(|n| fields(n) == ["type"]), "{name}: one is entered, not made");
        for kind in ["uidMappings", "gidMappings"] {
            let mappings = items(&linux[kind]);
            assert_eq!(mappings.len(), 2, "{name}");
            assert!(mappings.iter().all(|m| m["hostID"] != 0 && m["size"] == 1), "{name}: {mappings:?}");
        }
    }
}

#[test]
fn the_file_system_is_read_only_and_narrow() {
    for (name, config) in configurations() {
        let linux = &config["linux"];
        assert_eq!(config["root"]["readonly"], true, "{name}");
        assert!(linux.get("devices").is_none(), "{name}");
        for mount in items(&config["mounts"]) {
            let (to, options) = (mount["destination"].as_str().unwrap(), strings(&mount["options"]));
            let known = MOUNT_POINTS.iter().any(|point| point.path == to);
            // A file of the package python3.9-minimal.
            let covered = name.contains("-warm-") && to == "/etc/python3.9/sitecustomize.py";
            assert!(known || covered || to.starts_with("/dev/"), "{name}: {to} is not in the images");
            assert!(options.contains(&"nosuid"), "{name}: {mount}");
            assert!(to == "/dev" || options.contains(&"nodev"), "{name}: {mount}");
            let bounded = |what: &str| options.iter().any(|option| option.starts_with(what));
            assert!(mount["type"] != "tmpfs" || bounded("size=") && bounded("nr_inodes="), "{name}: {mount}");
            if options.contains(&"bind") {
                let writable = to == "/code" && name.contains("-compile-");
                assert_eq!(options.contains(&"rw"), writable, "{name}: {mount}");
                assert_eq!(options.contains(&"ro"), !writable, "{name}: {mount}");
            }
        }
        // Only processes: then there is nothing in it to mask. What a process may write of itself counts for the machine in part.
        let proc = items(&config["mounts"]).iter().find(|mount| mount["destination"] == "/proc").unwrap();
        let options = strings(&proc["options"]);
        assert!(proc["type"] == "proc" && options.contains(&"subset=pid") && options.contains(&"ro"), "{name}: {proc}");
    }
}

#[test]
fn one_value_of_limits_is_in_every_place() {
    let languages = Languages::load(None).unwrap();
    for (name, config) in configurations() {
        let mut words = name.split('-');
        let language = languages.get(words.next().unwrap()).unwrap();
        let compiles = words.next() == Some("compile");
        let limits = if compiles { language.compile_limits().unwrap() } else { language.run_limits() };
        let limit = |kind: &str| {
            items(&config["process"]["rlimits"]).iter().find(|limit| limit["type"] == kind).unwrap()["hard"].clone()
        };
        assert_eq!((limit("RLIMIT_NICE"), limit("RLIMIT_RTPRIO")), (json!(0), json!(0)), "{name}");
        assert_eq!(limit("RLIMIT_NOFILE"), limits.open_files.0, "{name}");
        assert_eq!(limit("RLIMIT_STACK"), limits.stack.0, "{name}");
        assert_eq!(limit("RLIMIT_FSIZE"), limits.file_size.0, "{name}");
        if name.ends_with("-v2") {
            let resources = &config["linux"]["resources"];
            assert_eq!(resources["memory"], json!({"limit": limits.memory.0, "swap": limits.memory.0}), "{name}");
            // A second's period, and one process more for the init.
            let cpu = limits
                .cpu_share
                .map_or(Value::Null, |share| json!({"quota": u64::from(share.0) * 10_000, "period": 1_000_000}));
            assert_eq!(resources["cpu"], cpu, "{name}");
            assert_eq!(resources["pids"]["limit"], limits.pids.0 + 1, "{name}");
            assert_eq!(config["linux"]["cgroupsPath"], "/jobs/c0", "{name}");
        }
    }
}
