//! Removes what builds leave: their temporary directories, those of builds that died, and images that a newer version
//! replaced. What cannot be removed is logged and tried again at the next build.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::image::digest::Digest;
use crate::image::error::ImageError;
use crate::image::images::{Images, io_error};
use crate::image::mmdebstrap;

/// How the temporary directory of every build is called.
pub(super) const PREFIX: &str = ".building-";

/// Where mmdebstrap works if others cannot pass to the directory of images.
pub(super) const ELSEWHERE: &str = "/var/tmp";

/// How such a directory is called; the digest tells the builds for different directories of images apart.
pub(super) fn prefix_elsewhere(dir: &Path) -> String {
    format!("casemate-image-{}-", Digest::of(dir.as_os_str().as_bytes()).short())
}

/// Removes the leftovers of builds that died. To be called with the lock on the directory held.
pub(super) fn leftovers(dir: &Path, program: &Path) {
    let elsewhere = prefix_elsewhere(dir);
    for (place, prefix) in [(dir, PREFIX), (Path::new(ELSEWHERE), &elsewhere)] {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let ours = entry.metadata().is_ok_and(|found| found.uid() == rustix::process::geteuid().as_raw());
            if ours && entry.file_name().to_string_lossy().starts_with(prefix) {
                remove(&entry.path(), program);
            }
        }
    }
}

/// Removes the versions of the image that nobody uses, all but the one of `current`, the digest of a recipe.
pub(super) fn old_versions(images: &Images, name: &str, current: &Digest, program: &Path) {
    let current = images.place(name, current);
    for (_, at) in images.versions().unwrap_or_default().into_iter().filter(|(of, at)| of == name && *at != current) {
        match version(images, &at, program) {
            Ok(true) => {}
            Ok(false) => tracing::info!(path = %at.display(), "an old image is still in use and stays"),
            Err(error) => tracing::warn!(path = %at.display(), %error, "an old image could not be removed"),
        }
    }
}

/// Removes what lies at `at`, and says whether nobody uses it. To be called with the lock on the directory held.
pub(super) fn version(images: &Images, at: &Path, program: &Path) -> Result<bool, ImageError> {
    let Some(claimed) = Images::claim(at)? else { return Ok(false) };
    // Under this name nothing takes it for an image, should removing it be interrupted.
    let doomed = images.dir.join(format!("{PREFIX}old-{}", at.file_name().unwrap_or_default().display()));
    fs::rename(at, &doomed).map_err(io_error("remove", at))?;
    drop(claimed);
    remove(&doomed, program);
    Ok(true)
}

/// Removes a directory of a build, also one in which a killed mmdebstrap left files of subordinate ids.
pub(super) fn remove(dir: &Path, program: &Path) {
    let removed = match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(_) => {
            // It owns nothing of ours and so fails at the top, having emptied what is below.
            mmdebstrap::remove_foreign(program, dir);
            fs::remove_dir_all(dir)
        }
        Ok(()) => return,
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %dir.display(), %error, "a temporary directory of a build could not be removed");
        }
        _ => {}
    }
}

/// Whether other users can pass through `dir` and every directory above it.
pub(super) fn open_to_all(dir: &Path) -> bool {
    dir.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|found| found.permissions().mode() & 0o001 != 0))
}
