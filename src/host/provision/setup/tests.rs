//! The loop on a fabricated machine: one where everything but the ids is beyond the tests' reach is made by hand.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::host::provision::tests::tree;

const MOUNTS: &str = "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n";

/// A machine that lacks subordinate ids and the home, for the user who runs the tests. Its id helpers have no power, as
/// only root could give it, so set-up must end by naming them; tests look at what happened before.
fn machine() -> (tempfile::TempDir, Machine, Who) {
    let programs = ["crun", "mmdebstrap", "gpg", "useradd", "usermod"];
    let mut files: Vec<(String, &str)> = programs.map(|name| (format!("/usr/bin/{name}"), "")).to_vec();
    files.push(("/usr/share/keyrings/debian-archive-keyring.gpg".to_owned(), ""));
    files.push(("/proc/self/mountinfo".to_owned(), MOUNTS));
    files.push(("/run/systemd/system/x".to_owned(), ""));
    files.push(("/etc/passwd".to_owned(), "root:x:0:0::/:\n"));
    files.push(("/var/lib/systemd/linger/ann".to_owned(), ""));
    let uid = 4_000_000;
    let controllers = format!("/cg/user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers");
    files.push((controllers, "cpu memory pids"));
    let (guard, machine) = tree(&files.iter().map(|(path, text)| (path.as_str(), *text)).collect::<Vec<_>>());
    for name in programs {
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(machine.path(format!("/usr/bin/{name}")), mode).unwrap();
    }
    let who = Who { name: "ann".into(), service: false, uid: Some(uid), home: "/h".into() };
    (guard, machine, who)
}

/// Runs set-up and returns its end and the names of the steps that were executed.
fn run(
    machine: &Machine,
    who: &Who,
    elevation: Elevation,
    mut effect: impl FnMut(&Machine, &Step),
) -> (Result<(), SetupError>, Vec<String>) {
    let mut done = Vec::new();
    let mut act = |step: &Step, _: Elevation| {
        effect(machine, step);
        done.push(step.to_string());
        Ok(())
    };
    let result = setup(machine, &Wanted::default(), who, &|| elevation, &mut act, &mut |_| ());
    (result, done)
}

#[test]
fn a_step_without_effect_is_not_taken_for_done() {
    let (_guard, machine, who) = machine();
    std::fs::write(machine.path("/usr/bin/apt-get"), "").unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(machine.path("/usr/bin/apt-get"), mode).unwrap();
    let (result, done) = run(&machine, &who, Elevation::Root, |_, _| ());
    assert!(matches!(result, Err(SetupError::Ineffective { .. })), "{result:?}");
    assert_eq!(done, ["install uidmap"]);
}

#[test]
fn without_apt_get_programs_are_named() {
    let (_guard, machine, who) = machine();
    let (result, done) = run(&machine, &who, Elevation::Root, |_, _| ());
    let text = result.unwrap_err().to_string();
    assert!(text.ends_with("set up again: newuidmap, newgidmap") && done.is_empty(), "{text}");
}

#[test]
fn each_step_is_followed_by_a_look_and_nothing_is_done_twice() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (_guard, machine, who) = machine();
    let effect = |machine: &Machine, step: &Step| match step {
        Step::AddSubIds { uids: Some(uids), gids: Some(gids), .. } => {
            std::fs::write(machine.path("/etc/subuid"), format!("ann:{}:65536\n", uids.first)).unwrap();
            std::fs::write(machine.path("/etc/subgid"), format!("ann:{}:65536\n", gids.first)).unwrap();
        }
        Step::MakeHome { path, .. } => {
            let path = machine.path(path);
            std::fs::create_dir(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o711)).unwrap();
            std::os::unix::fs::chown(&path, Some(4_000_000), None).unwrap();
        }
        other => panic!("{other:?}"),
    };
    for name in ["newuidmap", "newgidmap"] {
        std::fs::write(machine.path(format!("/usr/bin/{name}")), "").unwrap();
        let mode = std::fs::Permissions::from_mode(0o4755);
        std::fs::set_permissions(machine.path(format!("/usr/bin/{name}")), mode).unwrap();
    }
    let (result, done) = run(&machine, &who, Elevation::Sudo { asks: false }, effect);
    result.unwrap();
    assert_eq!(done.len(), 2, "{done:?}");
    let (result, done) = run(&machine, &who, Elevation::None, effect);
    result.unwrap();
    assert!(done.is_empty(), "the second set-up finds everything there");
    std::fs::remove_file(machine.path("/etc/subgid")).unwrap();
    let (result, done) = run(&machine, &who, Elevation::None, effect);
    let text = result.unwrap_err().to_string();
    assert!(done.is_empty() && text.contains("usermod --add-subgids 165536-231071 ann"), "{text}");
}
