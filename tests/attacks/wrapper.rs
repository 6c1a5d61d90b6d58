//! The program that the service is told to use as its runtime: crun or runc, which sees an edited bundle where the job
//! asks for it in its environment. A job that does not ask (the probes at the start of the service among them) gets its own.
//!
//! It is a script that calls this very test binary, which edits, and then becomes the runtime.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use casemate::seccomp::Profiles;
use nix::sys::stat::{Mode, SFlag, mknod};
use serde_json::Value;
use tempfile::TempDir;

use super::layers::{How, LAYERS, named};
use super::removal::Bundle;
use crate::support::{Runtime, account};

/// Names the bundle that is to be edited.
const BUNDLE: &str = "CMTEST_BUNDLE";
/// Names the directory of the script.
const HOME: &str = "CMTEST_WRAPPER";
/// The test that does it.
const EDITOR: &str = "wrapper::bundles_are_edited_as_asked";

const SCRIPT: &str = r#"#!/bin/sh
bundle= run= before=
for word; do
    case $before in --bundle) bundle=$word ;; esac
    case $word in run) run=1 ;; esac
    before=$word
done
[ -n "$run" ] || exec @runtime@ "$@"
CMTEST_BUNDLE=$bundle CMTEST_WRAPPER=@home@ @home@/attacks --exact @editor@ </dev/null >>@log@ 2>&1 3>&- 4<&- || exit 1
[ -e "$bundle/prepare" ] || exec @runtime@ "$@"
exec unshare --mount --propagation private -- /bin/sh -c '. "$0" && exec "$@"' "$bundle/prepare" @runtime@ "$@"
"#;

/// The script and what it needs, readable by whoever serves. Not in the temporary directory, which may be a tmpfs that
/// has no devices.
#[derive(Debug)]
pub struct Wrapper {
    dir: TempDir,
    log: PathBuf,
}

impl Wrapper {
    /// Around this runtime, with a log in the home of the service, which can write nowhere else.
    pub fn of(runtime: Runtime, home_of_service: &Path) -> Self {
        let dir = tempfile::Builder::new().prefix("cmtest-wrapper-").tempdir_in("/var/tmp").expect("a directory");
        let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
        open(dir.path(), 0o755);
        let home = dir.path().display().to_string();
        fs::copy(std::env::current_exe().expect("this program"), dir.path().join("attacks")).expect("a copy");
        open(&dir.path().join("attacks"), 0o755);
        let log = home_of_service.join("log-of-the-wrapper");
        fs::write(&log, "").expect("a file");
        account::give(&log);
        let script = SCRIPT.replace("@runtime@", &real(runtime)).replace("@home@", &home).replace("@editor@", EDITOR);
        let script = script.replace("@log@", &log.display().to_string());
        fs::write(dir.path().join(runtime.name()), script).expect("the script");
        open(&dir.path().join(runtime.name()), 0o755);
        let tmp = dir.path().join("tmp");
        fs::create_dir(&tmp).expect("a directory");
        open(&tmp, 0o1777);
        // Device 0:0 is the whiteout of overlayfs, the one that needs no privilege: a driver answers for it with ENXIO.
        mknod(&tmp.join("device"), SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), 0).expect("a device file");
        Self { dir, log }
    }

    /// For `runtime_path`.
    pub fn path(&self, runtime: Runtime) -> PathBuf {
        self.dir.path().join(runtime.name())
    }

    /// What the editor said where it failed.
    pub fn log_of_failures(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().filter(|line| line.contains("panicked") || line.contains("error")).collect::<Vec<_>>().join("\n")
    }
}

fn real(runtime: Runtime) -> String {
    if let Some(path) = runtime.named() {
        return path.display().to_string();
    }
    let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
    let found = places.iter().map(|place| format!("{place}/{}", runtime.name())).find(|path| Path::new(path).exists());
    found.expect("needs! has looked for it")
}

/// The variable in a container's environment that asks. The job does not see it: the editor takes it out.
pub const WITHOUT: &str = "CMTEST_WITHOUT";

/// The layers that this bundle is to do without, if any; its environment does not tell of them any more.
fn requested(config: &mut Value) -> Vec<String> {
    let environment = config["process"]["env"].as_array_mut().expect("an environment");
    let asks = |entry: &Value| {
        entry.as_str().and_then(|text| text.strip_prefix(WITHOUT)?.strip_prefix('=')).map(str::to_owned)
    };
    let asked = environment.iter().find_map(asks).unwrap_or_default();
    environment.retain(|entry| asks(entry).is_none());
    asked.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The lowest layer of the overlay that is mounted at `root` (proc_pid_mountinfo(5)).
fn image_below(root: &str) -> Option<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("the mount table");
    let line = table.lines().find(|line| line.split(' ').nth(4) == Some(root))?;
    let layers = line.split_once("lowerdir=")?.1.split([',', ' ']).next()?;
    layers.rsplit(':').next().map(PathBuf::from)
}

fn edit(bundle: &Path, home: &Path) {
    let file = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&file).expect("a bundle")).expect("JSON");
    let layers = requested(&mut config);
    if layers.is_empty() {
        return;
    }
    // A container after the first of its profile has a compiled filter and no rules beside it. Where the filter is edited, it
    // gets the rules instead.
    if layers.iter().any(|name| ["seccomp", "no-new-privileges"].contains(&name.as_str())) {
        config.as_object_mut().expect("an object").remove("annotations");
        let profiles = Profiles::load(None).expect("the profiles");
        let rules = profiles.get("run").expect("the profile of a run").to_oci().expect("as an OCI runtime reads it");
        config["linux"]["seccomp"] = serde_json::to_value(rules).expect("JSON");
    }
    let place = bundle.parent().expect("a directory").to_owned();
    let image = image_below(config["root"]["path"].as_str().expect("a path"));
    let mut edited = Bundle { config, place, image, host_tmp: home.join("tmp"), prepare: Vec::new() };
    for name in &layers {
        match named(name).how {
            How::Edit(edit) => edit(&mut edited),
            How::Limit(..) | How::Service => panic!("{name} is no part of the bundle"),
        }
    }
    fs::write(file, edited.config.to_string()).expect("the bundle");
    if !edited.prepare.is_empty() {
        fs::write(bundle.join("prepare"), edited.prepare.join("\n")).expect("the script");
    }
}

/// Under the script this edits; among the tests it looks that every edit changes something.
#[test]
fn bundles_are_edited_as_asked() {
    if let (Some(bundle), Some(home)) = (std::env::var_os(BUNDLE), std::env::var_os(HOME)) {
        return edit(Path::new(&bundle), Path::new(&home));
    }
    let golden = include_str!("../golden/c-run-v1.json");
    let mut config: Value = serde_json::from_str(golden).unwrap();
    config["linux"]["seccomp"] = serde_json::json!({});
    let image = Some("/i".into());
    let whole = Bundle { config, place: "/p".into(), image, host_tmp: "/t".into(), prepare: Vec::new() };
    for layer in LAYERS {
        let How::Edit(edit) = layer.how else { continue };
        let mut edited = whole.clone();
        edit(&mut edited);
        let changed = edited.config != whole.config || !edited.prepare.is_empty();
        assert!(changed || layer.name == "clean-environment", "{} changes nothing", layer.name);
    }
    let mut config = whole.config;
    let usual = config["process"]["env"].clone();
    assert_eq!(requested(&mut config), [""; 0]);
    config["process"]["env"].as_array_mut().unwrap().push(format!("{WITHOUT}=seccomp,nodev").into());
    assert_eq!(requested(&mut config), ["seccomp", "nodev"]);
    assert_eq!(config["process"]["env"], usual);
}
