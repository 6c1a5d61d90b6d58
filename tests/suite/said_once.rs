//! What stops a start is said once: not by the log and the command, not by an error and its cause, not by the refusal and what
//! the doctor finds. Each start here fails for real, in a mount namespace of the test's own.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::needs;
use crate::support::machine::Place;
use crate::support::wrapper::Wrapper;
use crate::support::{Need, Runtime, Settings, account};

/// The whole of what a start that fails says, with the directory of its home as `HOME`.
fn refusal(settings: &Settings, home: &Path, script: &str) -> String {
    let _place = Place::shared();
    let plain = settings.command(home);
    let script = format!("set -e; {script}\nexec $FRONT \"$@\"");
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script, "sh"]).arg(plain.get_program()).arg("serve").env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let said = command.stdin(Stdio::null()).output().expect("unshare");
    assert!(!said.status.success() && said.stdout.is_empty(), "{script}: {said:?}");
    String::from_utf8_lossy(&said.stderr).replace(&home.display().to_string(), "HOME")
}

/// What is said twice of a text: parts of sentences of some length.
fn twice(text: &str) -> Vec<&str> {
    // Of two findings with one remedy each has it.
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("to mend it: "));
    let parts = lines.flat_map(|line| line.split(": ")).flat_map(|part| part.split("; ")).map(str::trim);
    let mut seen = BTreeSet::new();
    parts.filter(|part| part.len() > 12 && !seen.insert(*part)).collect()
}

/// Runs `script` as root in the new namespace, before the service starts.
struct Case<'a> {
    settings: Settings,
    script: &'a str,
    /// What has to be said, once.
    wanted: &'a str,
}

#[test]
fn what_stops_a_start_is_said_once() {
    needs!(Need::Root, Need::Sandbox(Runtime::Crun));
    let home = account::directory("home");
    let plain = || Settings::new(Runtime::Crun);
    let case = |settings, script, wanted| Case { settings, script, wanted };
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let broken = Wrapper::of(Runtime::Crun, "[ \"$verb\" != run ] || { echo it broke >&2; exit 1; }");
    let mute = Wrapper::of(Runtime::Crun, "[ \"$verb\" != run ] || exit 0");
    let at = |name: &str| home.path().join(name).display().to_string();
    let without_room = "mount -t tmpfs -o size=64k,mode=711,uid=$(id -u casemate) tmpfs \"$CASEMATE_HOME\"";
    for directory in ["languages", "seccomp"] {
        fs::create_dir_all(home.path().join("mistakes").join(directory)).expect("a directory");
    }
    fs::write(home.path().join("mistakes/languages/c.toml"), "x = 1").expect("a file");
    fs::write(home.path().join("mistakes/seccomp/run.json"), "{").expect("a file");
    let cases = [
        case(plain().set("PORT", "http"), "", "a port number"),
        case(plain().set("CASEMATE_CONFIG", "/nowhere"), "", "the settings file /nowhere cannot be read"),
        case(plain().set("CASEMATE_SETTINGS", at("mistakes")), "", "unknown field `x`"),
        // Nor is a profile blamed for another that cannot be understood.
        case(plain().set("CASEMATE_SETTINGS", at("mistakes")), "", "seccomp/"),
        case(plain().set("CASEMATE_ACCOUNT", "nobodyhere"), "", "account nobodyhere does not exist"),
        case(plain().set("CASEMATE_ACCOUNT", "root"), "", "never runs as root"),
        case(plain().set("CASEMATE_LISTEN", "0.0.0.0"), "", "anybody could submit"),
        case(plain().set("CASEMATE_TOKENS", "/nowhere"), "", "the file of tokens /nowhere"),
        case(plain(), "mount --bind /dev/null /etc/subuid", "no range of 65536"),
        case(plain(), "umount --recursive /sys/fs/cgroup", "no cgroup file system is mounted"),
        case(plain(), "FRONT='setpriv --no-new-privs'", "subordinate ids: newuidmap: write to uid_map failed"),
        case(plain(), "mount -t tmpfs -o ro tmpfs /proc/fs", "cannot mount /proc"),
        case(plain(), "ulimit -n 100", "the number of open files"),
        case(plain().set("CASEMATE_IMAGES", "/nowhere"), "", "/nowhere"),
        case(plain(), TOUCHED, "error: the image python was changed after it was made"),
        case(plain().set("CASEMATE_HOME", "/nowhere"), "", "/nowhere is not there"),
        case(plain().set("CASEMATE_RUNTIME_PATH", "/bin/cat"), "", "neither crun nor runc"),
        case(broken.before(&plain()), "", "it broke"),
        case(mute.before(&plain()), "", "no usable process id"),
        case(
            plain(),
            "mkdir \"$CASEMATE_HOME/store\"; echo x >\"$CASEMATE_HOME/store/submissions.redb\"; \
                       chown -R casemate \"$CASEMATE_HOME/store\"",
            "is damaged",
        ),
        case(plain(), without_room, "no room on the disk"),
        case(plain().set("PORT", port), "", "is in use by another program"),
    ];
    let mut wrong = Vec::new();
    for Case { settings, script, wanted } in cases {
        let said = refusal(&settings, home.path(), script);
        let twice = twice(&said);
        if said.matches(wanted).count() != 1 || !twice.is_empty() || said.contains("ERROR run: \n") {
            wrong.push(format!(
                "{script} {wanted:?} is there {} times, twice: {twice:?}\n{said}",
                said.matches(wanted).count()
            ));
        }
        let _ = fs::remove_dir_all(home.path().join("store"));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// One file of the image of Python, in a layer over all images.
const TOUCHED: &str = "mkdir \"$CASEMATE_HOME/over\"; mount -t tmpfs tmpfs \"$CASEMATE_HOME/over\"; cd \"$CASEMATE_HOME/over\"; mkdir u w; \
    mount -t overlay -o lowerdir=\"$CASEMATE_IMAGES\",upperdir=u,workdir=w overlay \"$CASEMATE_IMAGES\"; \
    touch \"$CASEMATE_IMAGES\"/python-*/rootfs/etc/passwd";

#[test]
fn what_is_said_twice_is_seen() {
    assert_eq!(twice("error: a thing is missing: a thing is missing"), ["a thing is missing"]);
    assert_eq!(twice("error: no such file here\nmissing x: no such file here\n"), ["no such file here"]);
    assert_eq!(
        twice(
            "missing a: one\n          to mend it: casemate setup\nmissing b: two\n          to mend it: casemate setup"
        ),
        [""; 0]
    );
}
