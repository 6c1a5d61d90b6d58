//! Where the images are that jobs run in.

use std::fs;
use std::path::PathBuf;

use crate::support::account;

/// The root file system of an image that set-up has built.
pub fn rootfs(image: &str) -> PathBuf {
    let images = fs::read_dir(account::images()).expect("images: casemate setup makes them");
    let mut found: Vec<PathBuf> = images.flatten().map(|entry| entry.path().join("rootfs")).collect();
    found.retain(|path| path.is_dir() && path.to_string_lossy().contains(&format!("/{image}-")));
    // The newest, where there are several.
    found.sort_by_key(|path| fs::metadata(path).and_then(|m| m.created()).ok());
    found.pop().unwrap_or_else(|| panic!("no image {image}: casemate setup makes it"))
}
