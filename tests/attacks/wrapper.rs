//! The program that the service is told to use as its runtime: crun or runc, which sees an edited bundle where the job
//! asks for it in a comment. A job that does not ask (the probes at the start of the service among them) gets its own.
//!
//! It is a script that calls this very test binary, which edits, and then becomes the runtime.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

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
bundle= create= before=
for word; do
    case $before in --bundle) bundle=$word ;; esac
    case $word in create) create=1 ;; esac
    before=$word
done
[ -n "$create" ] || exec @runtime@ "$@"
CMTEST_BUNDLE=$bundle CMTEST_WRAPPER=@home@ @home@/attacks --exact @editor@ </dev/null >>@home@/log 2>&1 3>&- || exit 1
[ -e "$bundle/prepare" ] || exec @runtime@ "$@"
exec unshare --mount --propagation private -- /bin/sh -c '. "$0" && exec "$@"' "$bundle/prepare" @runtime@ "$@"
"#;

/// The script and what it needs, readable by whoever serves. Not in the temporary directory, which may be a tmpfs that
/// has no devices.
#[derive(Debug)]
pub struct Wrapper {
    dir: TempDir,
}

impl Wrapper {
    /// Around this runtime.
    pub fn of(runtime: Runtime) -> Self {
        let dir = tempfile::Builder::new().prefix("cmtest-wrapper-").tempdir_in("/var/tmp").expect("a directory");
        let open = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
        open(dir.path(), 0o755);
        let home = dir.path().display().to_string();
        fs::copy(std::env::current_exe().expect("this program"), dir.path().join("attacks")).expect("a copy");
        open(&dir.path().join("attacks"), 0o755);
        fs::write(dir.path().join("log"), "").expect("a file");
        account::give(&dir.path().join("log"));
        let script = SCRIPT.replace("@runtime@", &real(runtime)).replace("@home@", &home).replace("@editor@", EDITOR);
        fs::write(dir.path().join(runtime.name()), script).expect("the script");
        open(&dir.path().join(runtime.name()), 0o755);
        let tmp = dir.path().join("tmp");
        fs::create_dir(&tmp).expect("a directory");
        open(&tmp, 0o1777);
        // Device 0:0 is the whiteout of overlayfs, the one that needs no privilege: a driver answers for it with ENXIO.
        mknod(&tmp.join("device"), SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), 0).expect("a device file");
        Self { dir }
    }

    /// For `runtime_path`.
    pub fn path(&self, runtime: Runtime) -> PathBuf {
        self.dir.path().join(runtime.name())
    }

    /// What the editor said where it failed.
    pub fn log_of_failures(&self) -> String {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("panicked") || line.contains("error")).collect::<Vec<_>>().join("\n")
    }
}

fn real(runtime: Runtime) -> String {
    let places = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
    let found = places.iter().map(|place| format!("{place}/{}", runtime.name())).find(|path| Path::new(path).exists());
    found.expect("needs! has looked for it")
}

/// The comment that asks: a line of the program.
pub fn request(mark: &str, compiling: bool, layers: &[&str]) -> String {
    let edits: Vec<&str> = layers.iter().copied().filter(|name| matches!(named(name).how, How::Edit(_))).collect();
    if edits.is_empty() {
        return String::new();
    }
    format!("{mark} {}{}\n", if compiling { IN_COMPILE } else { IN_RUN }, edits.join(","))
}

const IN_COMPILE: &str = "cmtest-compile-without: ";
const IN_RUN: &str = "cmtest-run-without: ";

/// The layers that the job of this bundle wants to do without, if any.
fn requested(config: &Value) -> Vec<String> {
    let mounts = config["mounts"].as_array().expect("mounts");
    let code = mounts.iter().find(|mount| mount["destination"] == "/code").expect("/code");
    let writable = code["options"].as_array().expect("options").iter().any(|option| option == "rw");
    let word = if writable { IN_COMPILE } else { IN_RUN };
    let args = config["process"]["args"].as_array().expect("arguments");
    let mut texts: Vec<String> = args.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    for entry in fs::read_dir(code["source"].as_str().unwrap_or_default()).into_iter().flatten().flatten() {
        // What a compiler made is no text; a job's own tricks with this directory only concern this test.
        texts.extend(fs::read_to_string(entry.path()));
    }
    let asked = texts.iter().flat_map(|text| text.lines()).find_map(|line| Some(line.split_once(word)?.1.to_owned()));
    asked.unwrap_or_default().split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
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
    let config: Value = serde_json::from_slice(&fs::read(&file).expect("a bundle")).expect("JSON");
    let layers = requested(&config);
    if layers.is_empty() {
        return;
    }
    let place = bundle.parent().expect("a directory").to_owned();
    let image = image_below(config["root"]["path"].as_str().expect("a path"));
    let mut edited = Bundle { config, place, image, host_tmp: home.join("tmp"), prepare: Vec::new() };
    for name in &layers {
        match named(name).how {
            How::Edit(edit) => edit(&mut edited),
            How::Limit(..) => panic!("{name} is no part of the bundle"),
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
    let asked = format!("int x;\n{}int y;", request("//", false, &["seccomp", "pids", "nodev"]));
    let mut config = whole.config;
    config["process"]["args"] = serde_json::json!(["/casemate/init", "/usr/bin/python3", "-c", asked]);
    assert_eq!(requested(&config), ["seccomp", "nodev"]);
    config["mounts"][4]["options"] = serde_json::json!(["bind", "rw"]);
    assert_eq!(requested(&config), [""; 0], "asked for the other step");
}
