//! Who serves: started as root, the service drops to its account, which must then own the homes that tests make.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};
use tempfile::TempDir;

/// The account that the service drops to when root starts it.
pub const SERVICE: &str = "casemate";

/// Whether the tests run as root.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// The service account; `None` where `setup` has not made it.
pub fn service() -> Option<User> {
    User::from_name(SERVICE).ok().flatten()
}

/// The uid that the server will have on the host.
pub fn serving_uid() -> u32 {
    if is_root() { service().map_or(0, |user| user.uid.as_raw()) } else { Uid::effective().as_raw() }
}

/// Where `setup` keeps the images for whoever runs the tests; `CMTEST_IMAGES` names another place.
pub fn images() -> PathBuf {
    if let Some(dir) = std::env::var_os("CMTEST_IMAGES") {
        return dir.into();
    }
    if is_root() {
        return PathBuf::from("/var/lib/casemate/images");
    }
    PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".local/share/casemate/images")
}

/// An empty directory that belongs to whoever will serve.
pub fn directory(purpose: &str) -> TempDir {
    let dir = tempfile::Builder::new().prefix(&format!("cmtest-{purpose}-")).tempdir().expect("a temporary directory");
    give(dir.path());
    dir
}

/// Hands `path` to whoever will serve, readable by all.
pub fn give(path: &Path) {
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions of a path of the test");
    if let Some(user) = service().filter(|_| is_root()) {
        chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("owner of a path of the test");
    }
}

/// The ids of the host that are lent to whoever serves, users and groups: the first and how many.
pub fn lent_ids() -> Vec<(u32, u32)> {
    let uid = serving_uid();
    let name = User::from_uid(uid.into()).ok().flatten().map(|user| user.name).unwrap_or_default();
    let mine = |owner: &str| owner == name || owner == uid.to_string();
    let files = ["/etc/subuid", "/etc/subgid"].map(|file| fs::read_to_string(file).unwrap_or_default()).concat();
    let lines = files.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines
        .filter(|f| f.len() == 3 && mine(f[0]))
        .filter_map(|f| Some((f[1].parse().ok()?, f[2].parse().ok()?)))
        .collect()
}
