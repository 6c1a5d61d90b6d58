//! Keeps the packages' archives of the last build of an image, so that the next fetches only what is new. A cache: what
//! cannot be kept is fetched again, and apt checks every archive against the signed index before it uses it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

use crate::image::manifest::Package;

/// Moves the archives of `installed` from `fresh` to `cache` and drops all others.
pub(super) fn keep(cache: &Path, fresh: &Path, installed: &[Package]) {
    let wanted: HashSet<OsString> = installed.iter().map(|package| package.archive_name().into()).collect();
    for (dir, moves) in [(fresh, true), (cache, false)] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let there = entry.path();
            let kept = match (wanted.contains(&entry.file_name()), moves) {
                (true, true) => fs::rename(&there, cache.join(entry.file_name())),
                (true, false) => Ok(()),
                (false, _) => fs::remove_file(&there),
            };
            if let Err(error) = kept {
                tracing::debug!(%error, "an archive of a package was not kept");
            }
        }
    }
}
