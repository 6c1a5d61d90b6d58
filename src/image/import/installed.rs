//! Which packages an unpacked image has, by the lists that it brings: of dpkg, in one file or, as distroless images have it,
//! a file for each package; or of apk.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags};

use crate::image::error::UnpackError;
use crate::image::extract::{MAX_STATUS, open_beneath, written};
use crate::image::import::merged::{Kind, Merged};
use crate::image::manifest::Package;
use crate::image::packages;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Installed {
    pub(super) packages: Vec<Package>,
    /// The type and namespace of their package URLs, such as `deb/ubuntu`.
    pub(super) ecosystem: Option<String>,
}

/// Reads the lists in the tree at `root`.
pub(super) fn read(root: BorrowedFd<'_>, merged: &Merged) -> Result<Installed, UnpackError> {
    let mut dpkg = content(root, merged, b"var/lib/dpkg/status")?;
    let apart = b"var/lib/dpkg/status.d/";
    let each =
        merged.iter().map(|(path, _)| path).filter(|path| path.starts_with(apart) && !path.ends_with(b".md5sums"));
    for path in each {
        // Such a file does not say that its package is installed: it is there.
        let stanza = content(root, merged, path)?;
        dpkg.extend_from_slice(b"\n\nStatus: install ok installed\n");
        dpkg.extend_from_slice(&stanza);
        bounded(dpkg.len() as u64)?;
    }
    let (packages, kind, by_itself) = match packages::installed(&dpkg) {
        found if !found.is_empty() => (found, "deb", "debian"),
        _ => (packages::of_apk(&content(root, merged, b"lib/apk/db/installed")?), "apk", "alpine"),
    };
    if packages.is_empty() {
        return Ok(Installed::default());
    }
    let mut system = content(root, merged, b"usr/lib/os-release")?;
    if system.is_empty() {
        system = content(root, merged, b"etc/os-release")?;
    }
    let id = id(&system).unwrap_or_else(|| by_itself.to_owned());
    Ok(Installed { packages, ecosystem: Some(format!("{kind}/{id}")) })
}

/// `ID` of os-release(5).
fn id(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    let id = text.lines().find_map(|line| line.strip_prefix("ID="))?.trim().trim_matches(['"', '\'']);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    (!id.is_empty() && id.len() <= 32 && id.chars().all(plain)).then(|| id.to_owned())
}

/// Of a file of the tree; nothing where there is none.
fn content(root: BorrowedFd<'_>, merged: &Merged, path: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let parts: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    let Ok(at) = merged.resolve(&parts) else { return Ok(Vec::new()) };
    if !matches!(merged.get(&at), Some(Kind::File(_))) {
        return Ok(Vec::new());
    }
    let mut parts: Vec<&[u8]> = at.split(|&byte| byte == b'/').collect();
    let name = parts.pop().unwrap_or_default();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(open_beneath(root, &parts, &at)?, name, flags, Mode::empty());
    let file = File::from(opened.map_err(|errno| written("read", &at)(errno.into()))?);
    let mut bytes = Vec::new();
    file.take(MAX_STATUS + 1).read_to_end(&mut bytes).map_err(written("read", &at))?;
    bounded(bytes.len() as u64)?;
    Ok(bytes)
}

fn bounded(bytes: u64) -> Result<(), UnpackError> {
    if bytes > MAX_STATUS {
        return Err(UnpackError::TooLarge { limit: MAX_STATUS, unit: "bytes of package list" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_named_by_a_plain_word_only() {
        assert_eq!(id(b"NAME=x\nID=ubuntu\n").as_deref(), Some("ubuntu"));
        assert_eq!(id(b"ID=\"debian\"\nVERSION_ID=12\n").as_deref(), Some("debian"));
        for bad in ["", "ID=", "ID=../x", "ID=a b", "VERSION_ID=12"] {
            assert_eq!(id(bad.as_bytes()), None, "{bad}");
        }
    }
}
