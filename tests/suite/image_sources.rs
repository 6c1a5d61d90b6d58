//! Where packages of an image may come from: what nobody has signed whose key this machine knows is not installed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::image_command::Yard;
use crate::needs;
use crate::support::archive::{architecture, sha256};
use crate::support::{Need, account};

/// An archive of one suite that has no package and no signature.
fn unsigned(at: &Path, suite: &str) {
    let index = format!("main/binary-{}", architecture());
    let dists = at.join("dists").join(suite);
    fs::create_dir_all(dists.join(&index)).expect("directories");
    fs::write(dists.join(&index).join("Packages"), "").expect("an index");
    let release = format!(
        "Origin: Debian\nSuite: {suite}\nCodename: {suite}\nDate: Sat, 01 Aug 2026 00:00:00 UTC\nArchitectures: {}\n\
         Components: main\nSHA256:\n {} 0 {index}/Packages\n",
        architecture(),
        sha256(b"")
    );
    fs::write(dists.join("Release"), release).expect("what a signature would be about");
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).expect("its mode");
}

#[test]
fn what_is_not_signed_is_not_installed() {
    needs!(Need::Account);
    let mirror = account::directory("mirror");
    unsigned(mirror.path(), "bullseye");
    let yard = Yard::new();
    let address = format!("file://{}", mirror.path().display());
    let (fine, out, err) = yard.image(&["build", "python", "--mirror", &address]);
    assert!(!fine && out.is_empty(), "{out}{err}");
    assert!(err.contains("is not signed") && err.contains("could not make the image python"), "{err}");
    assert!(!yard.there().iter().any(|entry| entry.starts_with("python")), "{:?}", yard.there());
}
