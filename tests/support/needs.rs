//! What a test needs of the machine, and what to type where it is missing.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Runtime, account};

/// Something that `setup` provides.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// The service account (root only) and the subordinate ids of whoever serves.
    Account,
    /// A cgroup that was handed to whoever serves.
    Delegation,
    /// The images of the four languages.
    Images,
    /// An OCI runtime on the path.
    Runtime(Runtime),
    /// `scmp_sys_resolver`, which knows the names of system calls as the installed libseccomp does.
    Resolver,
    /// `curl`, the client that everybody has.
    Curl,
    /// `python3` outside, for programs that show what is possible there.
    Python,
    /// `umoci` and `skopeo`, which make and convert images, and `zstd`, which compresses them.
    ImageTools,
    /// All of it: a job can run under this runtime.
    Sandbox(Runtime),
    /// Root: the test looks at what only root sees, or does what only root may. An ordinary user's test is run again
    /// through sudo(8), on what set-up made for root.
    Root,
    /// A file that can be mounted as a disk, with a file system of its own.
    LoopDevice,
}

impl Need {
    /// What is missing and what to type, or nothing.
    fn missing(self) -> Option<String> {
        match self {
            Self::Account => account_missing(),
            Self::Delegation => delegation_missing(),
            Self::Images => images_missing(),
            Self::Runtime(runtime) => runtime_missing(runtime),
            Self::Resolver => program_missing("scmp_sys_resolver", "seccomp"),
            Self::Curl => program_missing("curl", "curl"),
            Self::Python => program_missing("python3", "python3"),
            Self::ImageTools => {
                ["umoci", "skopeo", "zstd"].into_iter().find_map(|program| program_missing(program, program))
            }
            Self::Sandbox(runtime) => account_missing()
                .or_else(delegation_missing)
                .or_else(images_missing)
                .or_else(|| runtime_missing(runtime)),
            Self::Root => (!account::is_root() && !sudo_works())
                .then(|| "needs root, and sudo asks for a password; type: sudo -v, or: sudo -E tests/run".to_owned()),
            Self::LoopDevice => program_missing("mke2fs", "e2fsprogs").or_else(|| {
                let none = !Path::new("/dev/loop-control").exists();
                none.then(|| "no loop devices; type: sudo modprobe loop".to_owned())
            }),
        }
    }
}

fn account_missing() -> Option<String> {
    let name = if account::is_root() { account::SERVICE.to_owned() } else { std::env::var("USER").unwrap_or_default() };
    if account::is_root() && account::service().is_none() {
        return Some(format!("no account {name}; type: cargo run -- setup"));
    }
    let ids = fs::read_to_string("/etc/subuid").unwrap_or_default();
    let uid = account::serving_uid().to_string();
    let listed = ids.lines().any(|line| line.split(':').next().is_some_and(|owner| owner == name || owner == uid));
    (!listed).then(|| format!("no subordinate ids for {name}; type: cargo run -- setup"))
}

/// systemd delegates when the service starts; without it `setup` leaves a directory in each hierarchy.
fn delegation_missing() -> Option<String> {
    let name = match account::is_root() {
        true => account::SERVICE.to_owned(),
        false => format!("casemate-{}", std::env::var("USER").unwrap_or_default()),
    };
    let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/memory"].map(|tree| Path::new(tree).join(&name));
    let ready = Path::new("/run/systemd/system").exists() || places.iter().any(|place| place.is_dir());
    (!ready).then(|| format!("no cgroup was delegated to {name}; type: cargo run -- setup"))
}

fn images_missing() -> Option<String> {
    let dir = account::images();
    let any = fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
    (!any).then(|| format!("no images in {}; type: cargo run -- setup", dir.display()))
}

fn runtime_missing(runtime: Runtime) -> Option<String> {
    match runtime.named() {
        Some(path) => (!path.is_file()).then(|| format!("{} is not there", path.display())),
        None => program_missing(runtime.name(), runtime.name()),
    }
}

fn program_missing(program: &str, package: &str) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/usr/local/sbin"]);
    let found = places.map(|dir| Path::new(dir).join(program)).any(|file| file.is_file());
    (!found).then(|| format!("{program} is not installed; type: sudo apt-get install {package}"))
}

fn sudo_works() -> bool {
    let sudo = Command::new("sudo").args(["-n", "true"]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    sudo.is_ok_and(|status| status.success())
}

/// A runner that starts a process for each test names it; else the thread has its name.
fn name_of_the_test() -> String {
    let thread = || std::thread::current().name().unwrap_or("?").to_owned();
    std::env::var("NEXTEST_TEST_NAME").unwrap_or_else(|_| thread())
}

/// Runs this very test again, as root. Its failure is a failure here.
fn again_as_root() {
    let name = name_of_the_test();
    let ours = std::env::vars().filter(|(key, _)| key.starts_with("CMTEST_"));
    let output = Command::new("sudo")
        .args(["-n", "-H", "env"])
        .args(ours.map(|(key, value)| format!("{key}={value}")))
        .arg(std::env::current_exe().expect("the test binary"))
        .args(["--exact", &name, "--nocapture"])
        .stdin(Stdio::null())
        .output()
        .expect("sudo");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    // Set off, so that whoever counts results does not take these for one more.
    let said: String = said.lines().map(|line| format!("  as root | {line}\n")).collect();
    assert!(output.status.success() && said.contains(" 1 passed;"), "{name}, as root: {}\n{said}", output.status);
}

/// Whether the test must be left out, or has been run as root already. Panics instead unless `CMTEST_ALLOW_SKIP=1`; a
/// skip is written to the file that `CMTEST_SKIPS` names, where the runner counts it.
pub fn skip(needs: &[Need]) -> bool {
    let wants_root = needs.iter().any(|need| matches!(need, Need::Root));
    if wants_root && !account::is_root() && sudo_works() {
        again_as_root();
        return true;
    }
    let Some(reason) = needs.iter().find_map(|need| need.missing()) else { return false };
    assert!(std::env::var("CMTEST_ALLOW_SKIP").is_ok_and(|value| value == "1"), "cannot run here: {reason}");
    left_out(&reason);
    true
}

/// Counts this test among the skipped ones, with the reason, because part of it was left out or all of it.
pub fn left_out(reason: &str) {
    println!("SKIPPED: {reason}");
    if let Some(file) = std::env::var_os("CMTEST_SKIPS") {
        let name = name_of_the_test();
        let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the file of skipped tests");
        // One write: tests of other processes append to it too.
        file.write_all(format!("{name}: {reason}\n").as_bytes()).expect("the file of skipped tests");
    }
}
