//! A disk without room, one whose syncs fail, and one that the kernel made read-only: submissions are refused and nothing
//! else. What runs ends once the disk works again, without a restart where the kernel lets it.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::machine::Place;
use crate::support::{Runtime, Server, Settings, account};
use crate::{needs, support::Need, under_both_runtimes};

/// A small file system, gone with this value.
struct Small(tempfile::TempDir);

impl Small {
    fn new(megabytes: u32) -> Self {
        let at = account::directory("small");
        let none: Option<&str> = None;
        let options = format!("size={megabytes}m,mode=755");
        mount(none, at.path(), Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).expect("a small file system");
        account::give(at.path());
        Self(at)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = umount(self.0.path());
    }
}

/// A disk that promises more than it has: a large file system in a file that lies in a small one. Writes to it go well,
/// and the sync fails, once the small one is full (fsync(2): ENOSPC).
struct Promising {
    beneath: Small,
    /// Where it is mounted.
    at: tempfile::TempDir,
}

impl Promising {
    fn new() -> Self {
        let beneath = Small::new(16);
        let image = beneath.0.path().join("image");
        fs::File::create(&image).and_then(|file| file.set_len(256 << 20)).expect("an image");
        let at = account::directory("promising");
        // Without a journal, so that it goes on after an error.
        run(Command::new("mke2fs").args(["-q", "-t", "ext2", "-m", "0", "-N", "64"]).arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(at.path()));
        account::give(at.path());
        Self { beneath, at }
    }

    /// Forgets all that is in memory alone.
    fn remount(&self) {
        unmount(self.at.path(), &self.beneath.0.path().join("image"));
        run(Command::new("mount").args(["-o", "loop"]).arg(self.beneath.0.path().join("image")).arg(self.at.path()));
    }

    /// Takes what it has but not what it says that it has.
    fn stuff(&self) -> std::path::PathBuf {
        self.beneath.0.path().join("stuff")
    }
}

impl Drop for Promising {
    fn drop(&mut self) {
        // The kernel gives the loop device back with the mount.
        let _ = umount(self.at.path());
    }
}

/// What this thread mounts from now on is seen by it and by what it starts alone: a service that another test starts would
/// keep the disk mounted in its own namespace, and with it what is in memory.
fn with_mounts_of_its_own() {
    unshare(CloneFlags::CLONE_NEWNS).expect("a namespace of mounts");
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("mounts that nobody else sees");
}

/// Unmounts the disk in this file, and waits until nobody has it mounted any more: the namespace of a service that was
/// killed goes a moment after it.
fn unmount(at: &Path, file: &Path) {
    umount(at).expect("nobody uses it");
    let deadline = Instant::now() + Duration::from_secs(10);
    let used = || Command::new("losetup").arg("--associated").arg(file).output().expect("losetup").stdout;
    while !used().is_empty() {
        assert!(Instant::now() < deadline, "{} is mounted somewhere", file.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn run(command: &mut Command) {
    let output = command.output().expect("the program");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Takes all the room that there is.
fn fill(file: &Path) {
    let mut size = 1 << 20;
    let mut bytes = Vec::new();
    while size >= 4096 {
        bytes.resize(bytes.len() + size, 1);
        if fs::write(file, &bytes).is_err() {
            bytes.truncate(bytes.len() - size);
            size /= 2;
        }
    }
}

fn a_full_disk_is_waited_for(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Root);
    with_mounts_of_its_own();
    let place = Place::shared();
    let small = Small::new(24);
    let home = tempfile::Builder::new().prefix("home").tempdir_in(small.0.path()).expect("a home");
    account::give(home.path());
    let settings = Settings::new(runtime).set("CASEMATE_STORE__RESERVE_MIB", 2).set("MAX_WORKERS", 1);
    let mut server = Server::try_start_at(&settings, &[], place, home).expect("a start");
    let client = server.client();
    let deadline = Instant::now() + Duration::from_secs(60);
    let before = client.run("python", "print('before')", None);
    // It prints more than will fit, after the disk is full.
    let code = "import time\ntime.sleep(2)\nprint('x' * 3000000)";
    let (running, waiting) = (client.submit("python", code, None), client.submit("python", "print('waited')", None));
    client.until(&running, deadline, |state| state == "running").expect("a start");
    let stuff = small.0.path().join("stuff");
    fill(&stuff);

    let refused = client.post("/submit", br#"{"code":"print(1)"}"#);
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "{}", refused.text());
    assert_eq!(client.stats()[3], 3);
    assert_eq!(client.get("/readyz").status, 503);
    assert_eq!(client.get("/healthz").status, 200);
    assert_eq!(client.result(before.result["id"].as_str().unwrap_or_default()), before.result);
    // The ending is in hand: not to be seen, and not to be lost.
    while !server.log().contains("its ending: writing to the store failed") {
        assert!(Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let statuses = [&running, &waiting].map(|id| client.status(id)["status"].clone());
    assert_eq!(statuses, ["running", "queued"]);

    fs::remove_file(&stuff).expect("room again");
    let seen = client.finish(&running, deadline).expect("an end");
    assert_eq!((seen.state(), seen.output().len()), ("completed", 3_000_001));
    assert_eq!(client.finish(&waiting, deadline).expect("an end").output(), "waited\n");
    while client.get("/readyz").status != 200 {
        assert!(Instant::now() < deadline, "not ready again");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client.run("python", "print('after')", None).output(), "after\n");
    assert_eq!(client.stats()[3], 4);
    assert_eq!(server.stop().map(|status| status.code()), Some(Some(0)), "{}", server.log());
}

/// All that was answered is answered still; what could not be kept was not accepted.
fn a_failing_sync_is_waited_for(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Root, Need::LoopDevice);
    with_mounts_of_its_own();
    let place = Place::shared();
    let disk = Promising::new();
    let home = tempfile::Builder::new().prefix("home").tempdir_in(disk.at.path()).expect("a home");
    account::give(home.path());
    let mut server =
        Server::try_start_at(&Settings::new(runtime).set("MAX_WORKERS", 1), &[], place, home).expect("a start");
    let client = server.client();
    let deadline = Instant::now() + Duration::from_secs(60);
    let long = client.run("python", "print('x' * 3000000)", None);
    assert_eq!(long.output().len(), 3_000_001);
    let keyed = |key: &str, code: &str| {
        let body = format!(r#"{{"code":"{code}"}}"#);
        client.send("POST", "/submit", &[("Idempotency-Key", key)], body.as_bytes()).expect("a reply")
    };
    let known = keyed("known", "print(1)");
    let id = known.json()["id"].as_str().unwrap_or_default().to_owned();
    let short = client.finish(&id, deadline).expect("an end").result;
    let running = client.submit("python", "import time\ntime.sleep(2)\nprint('y' * 4000000)", None);
    let waiting = client.submit("python", "print('waited')", None);
    client.until(&running, deadline, |state| state == "running").expect("a start");
    fill(&disk.stuff());

    // What fits into blocks that the disk has already may still be taken; something large cannot be.
    let large = format!("#{}", "z".repeat(900_000));
    let refused = keyed("large", &large);
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "{}", refused.text());
    assert!(server.log().contains("the store cannot be written"), "{}", server.log());
    let accepted = client.stats()[3];
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        assert_eq!((client.get("/readyz").status, client.get("/healthz").status), (503, 200));
        assert_eq!(client.result(&id), short);
        assert!(client.result(long.result["id"].as_str().unwrap_or_default()) == long.result);
        // Running, and ended without anybody to be told.
        assert_eq!(client.status(&running)["status"], "running");
        assert_eq!(keyed("known", "print(1)").json()["id"], id.as_str());
        assert_eq!(keyed("known", "print(2)").status, 409);
        assert_eq!(keyed("other", &large).status, 503);
    }
    assert_eq!(client.stats()[3], accepted);

    fs::remove_file(disk.stuff()).expect("room again");
    assert_eq!(client.finish(&running, deadline).expect("an end").output().len(), 4_000_001);
    assert_eq!(client.finish(&waiting, deadline).expect("an end").output(), "waited\n");
    while client.get("/readyz").status != 200 {
        assert!(Instant::now() < deadline, "not ready again");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client.stats()[3], accepted);
    // The key of what was refused is free.
    let again = keyed("large", &large);
    assert_eq!(again.status, 202, "{}", again.text());
    client.finish(again.json()["id"].as_str().unwrap_or_default(), deadline).expect("an end");
    assert_eq!(server.stop().map(|status| status.code()), Some(Some(0)), "{}", server.log());
    drop(server);
}

/// A disk that the kernel makes read-only after an error stays so until it is mounted anew, and so does the store.
struct Failing {
    image: tempfile::TempDir,
    at: tempfile::TempDir,
}

impl Failing {
    fn new() -> Self {
        let (image, at) = (account::directory("image"), account::directory("failing"));
        let this = Self { image, at };
        fs::File::create(this.file()).and_then(|file| file.set_len(128 << 20)).expect("an image");
        run(Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-N", "64"])
            .arg(this.file()));
        this.mount();
        account::give(this.at.path());
        this
    }

    fn file(&self) -> std::path::PathBuf {
        self.image.path().join("image")
    }

    fn mount(&self) {
        run(Command::new("mount").args(["-o", "loop,errors=remount-ro"]).arg(self.file()).arg(self.at.path()));
    }

    /// Tells the kernel of an error (Documentation/ABI/testing/sysfs-fs-ext4, `trigger_fs_error`).
    fn fail(&self) {
        let mounts = fs::read_to_string("/proc/thread-self/mounts").expect("the mounts");
        let here = self.at.path().to_str().expect("a path");
        let device =
            mounts.lines().find(|line| line.split(' ').nth(1) == Some(here)).and_then(|line| line.split(' ').next());
        let name = device.and_then(|device| device.strip_prefix("/dev/")).expect("its device");
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "1").expect("an error");
        let written = fs::write(self.at.path().join("try"), "x");
        assert_eq!(written.map_err(|error| error.kind()), Err(ErrorKind::ReadOnlyFilesystem), "it is not read-only");
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        let _ = umount(self.at.path());
    }
}

fn a_disk_that_became_read_only_takes_nothing_and_loses_nothing(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Root, Need::LoopDevice);
    with_mounts_of_its_own();
    let place = Place::shared();
    let disk = Failing::new();
    let home = tempfile::Builder::new().prefix("home").tempdir_in(disk.at.path()).expect("a home");
    account::give(home.path());
    let settings = Settings::new(runtime).set("MAX_WORKERS", 1);
    let start = |home| Server::try_start_at(&settings, &[], place.again(), home).expect("a start");
    let first = start(home);
    let client = first.client();
    let deadline = Instant::now() + Duration::from_secs(60);
    let before = client.run("python", "print('before')", None).result;
    let running = client.submit("python", "import time\ntime.sleep(1)\nprint('ran')", None);
    let waiting = client.submit("python", "print('waited')", None);
    client.until(&running, deadline, |state| state == "running").expect("a start");
    disk.fail();

    let refused = client.post("/submit", br#"{"code":"print(1)"}"#);
    assert_eq!((refused.status, refused.header("retry-after").is_some()), (503, true), "{}", refused.text());
    while !first.log().contains("its ending: writing to the store failed") {
        assert!(Instant::now() < deadline, "{}", first.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((client.get("/readyz").status, client.get("/healthz").status), (503, 200));
    let id = |result: &Value| result["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(client.result(&id(&before)), before);
    assert_eq!([&running, &waiting].map(|id| client.status(id)["status"].clone()), ["running", "queued"]);
    assert_eq!(client.stats()[3], 3);
    let home = first.leave(Signal::SIGKILL);

    unmount(disk.at.path(), &disk.file());
    disk.mount();
    let second = start(home);
    let client = second.client();
    assert_eq!(client.result(&id(&before)), before);
    assert_eq!(client.finish(&running, deadline).expect("an end").output(), "ran\n");
    assert_eq!(client.finish(&waiting, deadline).expect("an end").output(), "waited\n");
    assert_eq!(client.stats()[3], 3);
    drop(second);
}

/// After a failed sync the kernel shows what it has dropped as if it were on the disk (fsync(2)). A service that starts then
/// must not build upon that.
fn what_a_failed_sync_has_dropped_is_not_built_upon(runtime: Runtime) {
    needs!(Need::Sandbox(runtime), Need::Root, Need::LoopDevice);
    with_mounts_of_its_own();
    let place = Place::shared();
    let disk = Promising::new();
    let home = tempfile::Builder::new().prefix("home").tempdir_in(disk.at.path()).expect("a home");
    account::give(home.path());
    let settings = Settings::new(runtime).set("MAX_WORKERS", 1);
    let start = |home| Server::try_start_at(&settings, &[], place.again(), home).expect("a start");
    let first = start(home);
    let before = first.client().run("python", "print('before')", None).result;
    let client = first.client();
    let deadline = Instant::now() + Duration::from_secs(60);
    let running = client.submit("python", "import time\ntime.sleep(1)\nprint('y' * 3000000)", None);
    client.until(&running, deadline, |state| state == "running").expect("a start");
    fill(&disk.stuff());
    // Its ending was written, a sync failed, and another one.
    while !first.log().contains("the store still cannot be written") {
        assert!(Instant::now() < deadline, "{}", first.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let home = first.leave(Signal::SIGKILL);

    fs::remove_file(disk.stuff()).expect("room again");
    let second = start(home);
    let id = |result: &Value| result["id"].as_str().unwrap_or_default().to_owned();
    assert_eq!(second.client().result(&id(&before)), before);
    let running = second.client().finish(&running, deadline).expect("an end").result;
    let after: Vec<Value> = (0..5)
        .map(|n| second.client().run("python", &format!("print({n}) #{}", "z".repeat(200_000)), None).result)
        .collect();
    let home = second.leave(Signal::SIGKILL);

    disk.remount();
    let third = start(home);
    for result in [&before, &running].into_iter().chain(&after) {
        assert!(third.client().result(&id(result)) == *result, "{}", id(result));
    }
    // Its home lies on the disk.
    drop(third);
}

under_both_runtimes!(
    what_a_failed_sync_has_dropped_is_not_built_upon,
    a_full_disk_is_waited_for,
    a_failing_sync_is_waited_for,
    a_disk_that_became_read_only_takes_nothing_and_loses_nothing,
);
