//! The images that set-up has built, as they lie on the disk. What a build does with any package is tested beside it.

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "support/support.rs"]
#[allow(dead_code, reason = "each target uses its part of the harness")]
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use casemate::image::{Kind, MOUNT_POINTS, MountPoint, Recipes};
use support::{Need, account};

/// What is wrong with one mount point below `rootfs`.
fn wrong(rootfs: &Path, point: &MountPoint) -> Option<String> {
    let path = rootfs.join(&point.path[1..]);
    let found = match fs::symlink_metadata(&path) {
        Ok(found) => found,
        Err(error) => return Some(format!("{}: {error}", path.display())),
    };
    let kind = match point.kind {
        Kind::File => found.is_file(),
        Kind::Directory => found.is_dir(),
    };
    let mode = found.permissions().mode() & 0o7777;
    (!kind || mode != point.mode).then(|| format!("{}: {found:?}, wanted {point:?}", path.display()))
}

/// The root of a container is read-only, so that a runtime cannot make a missing one; new ones do not even try.
#[test]
fn every_mount_point_is_in_every_image() {
    needs!(Need::Images);
    let recipes = Recipes::load(None).expect("the recipes");
    let mut problems = Vec::new();
    for recipe in recipes.iter() {
        let name = format!("{}-{}", recipe.name, recipe.digest().short());
        let rootfs = account::images().join(name).join("rootfs");
        assert!(rootfs.is_dir(), "{} is not built; type: cargo run -- setup", rootfs.display());
        problems.extend(MOUNT_POINTS.iter().filter_map(|point| wrong(&rootfs, point)));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_missing_one_and_one_of_another_kind_are_found() {
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir(root.path().join("proc")).expect("a directory");
    fs::set_permissions(root.path().join("proc"), fs::Permissions::from_mode(0o755)).expect("its mode");
    fs::write(root.path().join("sys"), "").expect("a file");
    let found: Vec<_> = MOUNT_POINTS.iter().map(|point| wrong(root.path(), point)).collect();
    assert_eq!(found.iter().filter(|problem| problem.is_none()).count(), 1, "{found:?}");
    assert!(found[0].is_none() && found[1].is_some(), "{found:?}");
}
