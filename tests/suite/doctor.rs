//! `casemate doctor`: each thing that a machine can lack is taken away for real, in a mount namespace of the test's own,
//! and has to be found, with what mends it; and a start refuses with the same words.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::needs;
use crate::support::machine::Place;
use crate::support::{Need, Runtime, Settings, account};

/// Runs the binary with `arguments`, in a mount namespace in which `script` was run as root.
fn casemate(settings: &Settings, script: &str, arguments: &[&str]) -> Output {
    let _place = Place::shared();
    let home = account::directory("home");
    let plain = settings.command(home.path());
    let mut command = Command::new("unshare");
    let script = format!("set -e; {script}\nexec $FRONT \"$@\"");
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(plain.get_program()).args(arguments).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::null()).output().expect("unshare")
}

/// The whole report.
pub fn report(settings: &Settings, script: &str, arguments: &[&str]) -> Value {
    let said = casemate(settings, script, &[&["doctor", "--json"], arguments].concat());
    let report: Value =
        serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{script}: {error}: {said:?}"));
    assert_eq!(said.status.success(), report["healthy"] == true, "{script}: {said:?}");
    report
}

/// Findings as `standing name: meaning -> mend`, and whether all is well.
fn examined(settings: &Settings, script: &str, arguments: &[&str]) -> (bool, Vec<String>) {
    let report = report(settings, script, arguments);
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().expect("findings").iter().map(|one| {
        format!("{} {}: {} -> {}", text(one, "standing"), text(one, "name"), text(one, "meaning"), text(one, "mend"))
    });
    (report["healthy"] == true, findings.collect())
}

pub fn settings() -> Settings {
    Settings::new(Runtime::Crun)
}

/// A program that says this of its version.
pub fn runtime(said: &str) -> (tempfile::TempDir, Settings) {
    let directory = tempfile::Builder::new().prefix("cmtest-runtime-").tempdir().expect("a temporary directory");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("its permissions");
    let program = directory.path().join("runtime");
    fs::write(&program, format!("#!/bin/sh\nprintf '{said}'\n")).expect("a program");
    fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("its mode");
    let settings = settings().set("CASEMATE_RUNTIME", "auto").set("CASEMATE_RUNTIME_PATH", program.display());
    (directory, settings)
}

#[test]
fn a_machine_that_is_set_up_is_healthy() {
    needs!(Need::Root, Need::Sandbox(Runtime::Crun), Need::Sandbox(Runtime::Runc));
    for runtime in [Runtime::Crun, Runtime::Runc] {
        let (healthy, findings) = examined(&Settings::new(runtime), "", &[]);
        assert!(healthy && findings.iter().all(|line| !line.starts_with("missing")), "{findings:#?}");
        for name in
            ["ok namespaces: entered", "ok limits: memory", "ok container: containers were made", "ok image java"]
        {
            assert!(findings.iter().any(|line| line.starts_with(name)), "{runtime:?}: {name}: {findings:#?}");
        }
    }
    let said = casemate(&settings(), "", &["doctor", "--quick"]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success() && text.ends_with("casemate can serve here\n"), "{text}");
    assert!(!text.contains("container:"), "nothing is tried: {text}");
}

/// A command that becomes the binary under a filter which refuses this, as an outer container may have it.
macro_rules! refusing {
    ($what:literal) => {
        concat!(
            "FRONT='/usr/bin/python3 ",
            env!("CARGO_MANIFEST_DIR"),
            "/tests/programs/confine/refuse.py ",
            $what,
            "'"
        )
    };
}

/// The rest is run in a user namespace that has these ids of the machine, the first of them being 0, after this of a shell.
macro_rules! in_a_user_namespace {
    ($ids:literal, $first:literal) => {
        concat!(
            "mkfifo \"$CASEMATE_HOME/go\"
             unshare --user sh -c 'read -r go <\"$CASEMATE_HOME/go\"
                 exec sh -c \"",
            $first,
            " exec \\\"\\$@\\\"\" sh \"$@\"' sh \"$@\" &
             until [ \"$(readlink /proc/$!/ns/user)\" != \"$(readlink /proc/self/ns/user)\" ]; do :; done
             echo '0 0 ",
            $ids,
            "' >/proc/$!/uid_map; echo '0 0 ",
            $ids,
            "' >/proc/$!/gid_map
             echo go >\"$CASEMATE_HOME/go\"; wait $!; exit"
        )
    };
}

/// A way to take something away, and the beginnings and remedies of what has to be found. Half of it is what containers lack.
const TAKEN: [(&str, &[(&str, &str)]); 17] = [
    (
        "mount --bind /dev/null /etc/subuid",
        &[
            // The trial meets the same, and that is not told again.
            ("missing subordinate ids: casemate has no range of 65536", "casemate setup"),
        ],
    ),
    (
        "cp /usr/bin/newuidmap \"$CASEMATE_HOME/plain\"; chmod 755 \"$CASEMATE_HOME/plain\"; \
         mount --bind \"$CASEMATE_HOME/plain\" /usr/bin/newuidmap",
        &[
            ("missing newuidmap: /usr/bin/newuidmap has no setuid bit", "casemate setup"),
            ("missing namespaces: cannot map subordinate ids: newuidmap: ", "no_new_privs"),
        ],
    ),
    (
        "FRONT='setpriv --no-new-privs'",
        &[
            ("missing privileges: this process has no_new_privs set", "NoNewPrivileges=no"),
            ("missing namespaces: cannot map subordinate ids", "start it without no_new_privs"),
        ],
    ),
    // As container engines mask it.
    ("mount -t tmpfs -o ro tmpfs /proc/fs", &[("missing namespaces: cannot mount /proc", "procMount: Unmasked")]),
    (
        "umount --recursive /sys/fs/cgroup",
        &[
            ("missing cgroup: no cgroup file system is mounted", "writable cgroups"),
            ("ok namespaces: entered", ""),
            ("note container: none was tried", "mend that"),
        ],
    ),
    (
        "mount --bind /dev/null /proc/sys/kernel/seccomp/actions_avail",
        &[("missing seccomp: the kernel does not know", "CONFIG_SECCOMP_FILTER")],
    ),
    (
        "mount -t tmpfs -o size=8m,mode=711,uid=$(id -u casemate) tmpfs \"$CASEMATE_HOME\"",
        &[("missing disk: 8 MiB are free", "store.reserve_mib")],
    ),
    // The switch counts for the user namespace in which it is set, here one that has all ids of the machine. Whoever is root
    // there has its powers from the next program on.
    (
        in_a_user_namespace!("4294967295", "echo 0 >/proc/sys/user/max_user_namespaces;"),
        &[
            ("missing user namespaces: the kernel allows none", "sysctl -w user.max_user_namespaces="),
            ("missing namespaces: cannot make a user namespace", "user.max_user_namespaces"),
        ],
    ),
    (
        "ulimit -n 100",
        &[(
            "missing hard limits: jobs cannot have their limits: the number of open files is limited to 100",
            "systemd has Limit",
        )],
    ),
    (
        "mount -t tmpfs tmpfs /usr/share/keyrings",
        &[("missing debian-archive-keyring.gpg: not found", "casemate setup")],
    ),
    (
        "FRONT='setpriv --bounding-set -chown,-setgid'",
        &[(
            "missing capabilities: CAP_CHOWN, CAP_SETGID cannot be had here",
            "--cap-add chown,dac_override,setgid,setuid",
        )],
    ),
    (
        refusing!("unshare"),
        &[
            (
                "missing outer filter: a filter of system calls that was there before casemate refuses unshare",
                "seccompProfile",
            ),
            ("missing namespaces: cannot make a user namespace", "its own seccomp profile may forbid unshare(2)"),
        ],
    ),
    (
        refusing!("mount"),
        &[
            (
                "missing outer filter: a filter of system calls that was there before casemate refuses mount -> ",
                "unconfined",
            ),
            ("missing namespaces: cannot mount everything as private", "an outer container forbids it"),
        ],
    ),
    (
        refusing!("clone"),
        &[(
            "missing outer filter: a filter of system calls that was there before casemate refuses clone -> ",
            "unconfined",
        )],
    ),
    (
        refusing!("pivot_root"),
        &[
            (
                "missing outer filter: a filter of system calls that was there before casemate refuses pivot_root -> ",
                "unconfined",
            ),
            ("ok namespaces: entered", ""),
        ],
    ),
    (
        "for at in $(awk '$3 ~ /^cgroup/ { print $2 }' /proc/self/mounts); do mount -o remount,bind,ro \"$at\"; done",
        &[
            ("missing cgroup: the cgroup file system is mounted read-only", "unmask=/sys/fs/cgroup"),
            ("ok namespaces: entered", ""),
        ],
    ),
    (
        in_a_user_namespace!("65536", ""),
        &[("missing subordinate ids: /etc/subuid lends casemate ", "give the container 65536 ids more")],
    ),
];

#[test]
fn what_is_taken_away_is_found_with_its_remedy() {
    needs!(Need::Root, Need::Sandbox(Runtime::Crun));
    let mut wrong = Vec::new();
    for (script, wanted) in TAKEN {
        let (healthy, findings) = examined(&settings(), script, &[]);
        for (begins, mend) in wanted {
            let found = findings.iter().any(|line| line.starts_with(begins) && line.contains(mend));
            if healthy || !found {
                wrong.push(format!("{script}: {begins} -> {mend} not in {findings:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn settings_that_do_not_fit_the_machine_are_found() {
    needs!(Need::Root, Need::Sandbox(Runtime::Crun));
    let (_cat, blind, old) = (
        runtime("crun version 1.8.1\\n-SECCOMP\\n"),
        runtime("crun version 1.8.1\\n+SYSTEMD -SECCOMP\\n"),
        runtime("runc version 1.1.4\\nlibseccomp: 2.5.4\\n"),
    );
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    for (settings, begins, mend) in [
        (
            settings().set("CASEMATE_RUNTIME_PATH", "/bin/cat"),
            "missing runtime: /bin/cat --version says",
            "runtime_path",
        ),
        (blind.1.clone(), "missing runtime: ", "a distribution's own crun or runc"),
        (
            old.1.clone(),
            "note known holes: runc version 1.1.4 has CVE-2024-21626",
            "apt-get install --only-upgrade runc",
        ),
        (
            settings().set("CASEMATE_IMAGES", "/nowhere"),
            "missing image python: image python of language python is not there",
            "casemate image build python",
        ),
        (settings().set("PORT", port), &format!("note address 127.0.0.1:{port}: cannot be listened at"), "ss -ltnp"),
        (
            settings().set("CASEMATE_LISTEN", "0.0.0.0"),
            "missing clients: other machines reach 0.0.0.0, and anybody could submit there -> ",
            "name a file of tokens",
        ),
        (
            settings().set("CASEMATE_TOKENS", "/nowhere"),
            "missing clients: the file of tokens /nowhere cannot be read: No such file",
            "CASEMATE_TOKENS",
        ),
        (
            settings().set("CASEMATE_ACCOUNT", "nobodyhere"),
            "missing account: there is no account nobodyhere",
            "casemate setup",
        ),
    ] {
        let (_, findings) = examined(&settings, "", &["--quick"]);
        let found = findings.iter().any(|line| line.starts_with(begins) && line.contains(mend));
        assert!(found, "{begins} -> {mend} not in {findings:#?}");
    }
    let without = "umount --recursive /sys/fs/cgroup";
    let (healthy, findings) = examined(&settings(), without, &["--allow-unenforced-limits"]);
    assert!(healthy && findings.iter().any(|line| line.starts_with("note cgroup: ")), "{findings:#?}");
}

/// One source of the words: what stops a start is what the doctor says.
#[test]
fn a_start_refuses_with_the_words_of_the_doctor() {
    needs!(Need::Root, Need::Sandbox(Runtime::Crun));
    for (script, about) in [
        (TAKEN[0].0, "missing subordinate ids"),
        (TAKEN[1].0, "(none)"),
        (TAKEN[4].0, "missing cgroup"),
        (&*[TAKEN[0].0, TAKEN[9].0].join("; "), "missing subordinate ids"),
    ] {
        let examined = casemate(&settings(), script, &["doctor", "--quick"]);
        let refused = casemate(&settings(), script, &["serve"]);
        let (report, said) = (String::from_utf8_lossy(&examined.stdout), String::from_utf8_lossy(&refused.stderr));
        assert!(!refused.status.success() && said.contains("error: "), "{script}: {said}");
        let missing: Vec<&str> = report.lines().filter(|line| line.starts_with("missing ")).collect();
        assert!(!missing.is_empty(), "{report}");
        // What stops it may be one of them: then it is the error.
        let also: Vec<&str> = missing.into_iter().filter(|line| !line.starts_with(about)).collect();
        for line in &also {
            assert!(said.contains(line), "{line} not in\n{said}");
        }
        assert_eq!(said.matches("missing ").count(), also.len(), "{said}");
        assert!(said.contains("doctor` looks at all of it"), "{said}");
    }
}
