//! What a judge would pick instead, as commands that run one Python hello each: a plain `crun run` with the same bundle,
//! profile and namespaces as ours, bubblewrap, and isolate. None has a server, a store, or a limit of a cgroup around it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::rootfs::rootfs;

/// Each of `$2` loops counts its hellos for `$1` seconds; the sum is what is printed. Whether the time is over is asked of
/// the file system, by the shell itself: a process for it would count against the peer.
macro_rules! loops {
    ($hello:literal) => {
        concat!(
            "over=$4/over; rm -f \"$over\"; (sleep \"$1\"; : >\"$over\") &\n",
            "for loop in $(seq \"$2\"); do\n",
            "    (n=0; while [ ! -e \"$over\" ]; do\n",
            $hello,
            "\n        n=$((n + 1))\n    done; echo $n) &\ndone; wait\n",
        )
    };
}

/// In namespaces in which crun can work: ids of a range, a `/sys/fs/cgroup` that it does not refuse.
const CRUN: &str = concat!(
    "mount -t tmpfs tmpfs /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 1; bundle=$3\n",
    loops!(
        r#"crun --root "$bundle/state-$loop" --cgroup-manager=disabled run --bundle "$bundle" "h$loop-$n" </dev/null >/dev/null || exit 1"#
    )
);

const BUBBLEWRAP: &str = loops!(
    r#"bwrap --unshare-all --die-with-parent --ro-bind "$3" / --proc /proc --dev /dev --tmpfs /tmp --clearenv \
            --setenv HOME /tmp python3 -c "print('hello')" </dev/null >/dev/null || exit 1"#
);

/// Three calls, as its manual has it for every program: a box is made, used once, and cleared.
const ISOLATE: &str = loops!(
    r#"isolate --box-id="$loop" --init >/dev/null && isolate --box-id="$loop" --silent --processes=64 --env=HOME=/tmp \
            --dir=bin="$3/bin" --dir=lib="$3/lib" --dir=lib64="$3/lib64" --dir=usr="$3/usr" --run -- \
            /usr/bin/python3 -c "print('hello')" </dev/null >/dev/null && isolate --box-id="$loop" --cleanup || exit 1"#
);

fn per_second(command: &mut Command, time: Duration) -> Option<f64> {
    let began = Instant::now();
    let output = command.stderr(Stdio::null()).output().ok()?;
    let counts: Vec<f64> = String::from_utf8_lossy(&output.stdout).lines().filter_map(|n| n.parse().ok()).collect();
    let done: f64 = counts.iter().sum();
    (done > 0.0).then(|| done / began.elapsed().max(time).as_secs_f64())
}

/// `None` where it is not installed, or cannot work here.
pub fn bubblewrap(time: Duration, loops: usize) -> Option<f64> {
    by_hand(BUBBLEWRAP, time, loops)
}

/// `None` where it is not installed, setuid root, or cannot work here. Without the cgroups that it can have.
pub fn isolate(time: Duration, loops: usize) -> Option<f64> {
    by_hand(ISOLATE, time, loops)
}

fn by_hand(script: &str, time: Duration, loops: usize) -> Option<f64> {
    let place = tempfile::Builder::new().prefix("cmtest-peers-").tempdir().ok()?;
    let mut command = Command::new("sh");
    command.args(["-c", script, "peer"]).args([time.as_secs().to_string(), loops.to_string()]);
    per_second(command.arg(rootfs("python")).arg(place.path()), time)
}

/// `None` where crun is not installed, or whoever calls has no subordinate ids.
pub fn crun(time: Duration, loops: usize) -> Option<f64> {
    let bundle = tempfile::Builder::new().prefix("cmtest-crun-").tempdir().ok()?;
    fs::create_dir(bundle.path().join("code")).ok()?;
    fs::write(bundle.path().join("config.json"), config(bundle.path()).to_string()).ok()?;
    let user = crate::support::account::service().filter(|_| crate::support::account::is_root());
    let mut command = match user {
        Some(user) => {
            Command::new("chown").args(["-R", &user.name]).arg(bundle.path()).status().ok()?;
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &user.name, "--regid", &user.gid.to_string(), "--clear-groups", "unshare"]);
            command
        }
        None => Command::new("unshare"),
    };
    command.args(["--user", "--mount", "--cgroup", "--pid", "--fork", "--mount-proc", "--map-auto", "--map-root-user"]);
    command.args(["sh", "-c", CRUN, "crun"]).args([time.as_secs().to_string(), loops.to_string()]);
    command.args([bundle.path(), bundle.path()]);
    per_second(command.current_dir("/"), time)
}

/// The bundle of a run that the reviewers' files show, with the program as process 1 and places of its own.
fn config(bundle: &Path) -> Value {
    let golden = |name: &str| -> Value {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        serde_json::from_slice(&fs::read(path).expect("a golden file")).expect("JSON")
    };
    let mut config = golden("python-run-v1.json");
    config["linux"]["seccomp"] = golden("seccomp-run.json");
    config["root"]["path"] = json!(rootfs("python"));
    config["process"]["args"] = json!(["/usr/bin/python3", "-c", "print('hello')"]);
    for mount in config["mounts"].as_array_mut().expect("mounts") {
        if mount["destination"] == "/code" {
            mount["source"] = json!(bundle.join("code"));
        }
    }
    config
}
