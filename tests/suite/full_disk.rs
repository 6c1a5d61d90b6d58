//! A disk without room: submissions are refused and nothing else, what runs ends once there is room, without a restart.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount, umount};

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

under_both_runtimes!(a_full_disk_is_waited_for);
