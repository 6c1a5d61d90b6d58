//! What the service takes from itself: no new privileges, a filter, and no place to write but its own. Looked at from
//! outside, and tried.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::support::machine::Place;
use crate::support::process::Process;
use crate::support::{Runtime, Server, Settings};
use crate::{needs, support::Need, under_both_runtimes};

/// Where the stage may be.
const STAGES: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];

fn field(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its state");
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
}

/// The mounts that a process sees and could write to, as far as mounts decide.
fn writable(process: Process) -> Vec<PathBuf> {
    let table = fs::read_to_string(format!("/proc/{}/mountinfo", process.id())).expect("its mounts");
    let open = table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let (id, point, options) = (words[0].parse::<u64>().ok()?, words[4], words[5]);
        let at = process.root().join(point.trim_start_matches('/'));
        let found = statx(CWD, &at, AtFlags::NO_AUTOMOUNT | AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID).ok()?;
        (!options.split(',').any(|option| option == "ro") && found.stx_mnt_id == id).then(|| PathBuf::from(point))
    });
    open.collect()
}

/// What comes of writing a file there, by root, through the mounts of the service.
fn write(process: Process, path: &Path) -> Result<(), io::ErrorKind> {
    let at = process.root().join(path.strip_prefix("/").expect("an absolute path"));
    let existed = at.exists();
    File::options().append(true).create(true).open(&at).map_err(|error| error.kind())?;
    if !existed {
        fs::remove_file(&at).expect("a file that was just made");
    }
    Ok(())
}

fn the_service_is_confined_whoever_started_it(runtime: Runtime) {
    needs!(Need::Root, Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime));
    let service = Process::child_of(server.pid());
    for pid in [server.pid(), service.id()] {
        assert_eq!((field(pid, "NoNewPrivs:"), field(pid, "Seccomp:")), ("1".to_owned(), "2".to_owned()), "{pid}");
    }
    let home = fs::canonicalize(server.home()).expect("the home");
    let own = |point: &PathBuf| {
        let path = point.to_string_lossy();
        point.starts_with(&home)
            || STAGES.iter().any(|stage| point.starts_with(stage))
            || path == "/proc"
            || path == "/sys/fs/cgroup"
            || point.starts_with("/sys/fs/cgroup") && path.ends_with("/casemate")
    };
    let open = writable(service);
    let strange: Vec<&PathBuf> = open.iter().filter(|point| !own(point)).collect();
    assert!(strange.is_empty() && open.contains(&home), "{strange:?} of {open:?}");
    let program = match runtime.named() {
        Some(path) => path,
        None => ["/usr/bin", "/usr/sbin"]
            .map(|place| Path::new(place).join(runtime.name()))
            .into_iter()
            .find(|p| p.exists())
            .expect("a runtime"),
    };
    // Its mode, as it is: a program that runs somewhere is not opened for writing anyway.
    let program = service.root().join(program.strip_prefix("/").expect("an absolute path"));
    let mode = fs::metadata(&program).expect("the runtime").permissions();
    let changed = fs::set_permissions(&program, mode).map_err(|error| error.kind());
    assert_eq!(changed, Err(io::ErrorKind::ReadOnlyFilesystem), "{}", program.display());
    for path in ["/var/tmp/cmtest-confined", "/etc/cmtest-confined"].map(Path::new) {
        assert_eq!(write(service, path), Err(io::ErrorKind::ReadOnlyFilesystem), "{}", path.display());
    }
    assert_eq!(write(service, &home.join("cmtest-confined")), Ok(()));
    // And works all the same.
    assert_eq!(server.client().run("python", "print(6*7)", None).output(), "42\n");
}

/// What anybody may see of it, so that an ordinary user's service is looked at too where nobody is root. Its mounts the kernel shows to root
/// alone, for a process that has gained capabilities, those of a namespace too, may be looked into by nobody else (PR_SET_DUMPABLE);
/// they are looked at by every start itself, which ends where one is open.
fn the_kernel_tells_anybody_that_it_is_confined(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime));
    let service = Process::child_of(server.pid());
    for pid in [server.pid(), service.id()] {
        assert_eq!((field(pid, "NoNewPrivs:"), field(pid, "Seccomp:")), ("1".to_owned(), "2".to_owned()), "{pid}");
        assert_eq!(field(pid, "CapAmb:").trim_matches('0'), "", "{pid}");
    }
    assert_eq!(server.client().run("python", "print(6*7)", None).output(), "42\n");
}

under_both_runtimes!(the_service_is_confined_whoever_started_it, the_kernel_tells_anybody_that_it_is_confined);

/// A start fails where that cannot be had, and says why. By root alone: a filter without no_new_privs takes CAP_SYS_ADMIN, and with it
/// newuidmap fails before there is anything to confine.
#[test]
fn nothing_is_served_by_a_service_that_cannot_be_confined() {
    needs!(Need::Root, Need::Python, Need::Sandbox(Runtime::Crun));
    const REFUSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/confine/refuse.py");
    for (what, words) in [
        ("seccomp", "cannot set no_new_privs and the service's own filter of system calls"),
        ("remount", "read-only for the service"),
    ] {
        let settings = Settings::new(Runtime::Crun).behind(&["/usr/bin/python3", REFUSE, what]);
        let failed = Server::try_start(&settings, Place::shared()).expect_err("nothing is served");
        assert!(failed.status.is_some_and(|status| !status.success()), "{what}: {:?}", failed.status);
        assert!(failed.log.contains(words), "{what}: {}", failed.log);
    }
}
