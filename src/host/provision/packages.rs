//! Which programs the service needs and which Debian package has each. Looks for the programs themselves: what a package
//! database says is not what can be started.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::machine::Machine;

/// Something that must be there, and the Debian package that brings it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The name of a program, or the absolute path of a file.
    pub what: &'static str,
    /// Its package in Debian.
    pub package: &'static str,
    /// What for.
    pub purpose: &'static str,
}

/// Debian's public keys, without which no archive can be trusted.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

const fn need(what: &'static str, package: &'static str, purpose: &'static str) -> Need {
    Need { what, package, purpose }
}

/// What every installation needs. mmdebstrap only recommends gpg; without it, it does not find the keys of a suite that
/// the machine's own apt does not trust.
const ALWAYS: [Need; 8] = [
    need("crun", "crun", "starts containers"),
    need("newuidmap", "uidmap", "lends the service its user ids"),
    need("newgidmap", "uidmap", "lends the service its group ids"),
    need("mmdebstrap", "mmdebstrap", "builds images"),
    need("gpg", "gpg", "finds the keys of a Debian suite"),
    need(KEYRING, "debian-archive-keyring", "holds the keys of Debian's archive"),
    need("useradd", "passwd", "makes the service account"),
    need("usermod", "passwd", "records subordinate ids"),
];

const RUNC: Need = need("runc", "runc", "starts containers");

/// Programs and files, as they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What is there, and where.
    pub present: Vec<(Need, PathBuf)>,
    /// What is not.
    pub missing: Vec<Need>,
    /// Id helpers that are there but have neither the setuid bit nor file capabilities, or lie on a `nosuid` mount: they
    /// cannot do their work.
    pub powerless: Vec<PathBuf>,
}

/// Looks for everything; for runc only where it is `wanted`.
pub(super) fn look(machine: &Machine, runc: bool) -> Found {
    let mut found = Found::default();
    for need in ALWAYS.into_iter().chain(runc.then_some(RUNC)) {
        let place = if need.what.starts_with('/') {
            machine.path(need.what).is_file().then(|| PathBuf::from(need.what))
        } else {
            machine.program(need.what)
        };
        match place {
            Some(path) => {
                if need.package == "uidmap" && !privileged(&machine.path(&path)) {
                    found.powerless.push(path.clone());
                }
                found.present.push((need, path));
            }
            None => found.missing.push(need),
        }
    }
    found
}

/// Whether starting the file gives it the power to write an id map: setuid root, or a file capability (Fedora and Arch
/// do it that way), on a mount that honours either.
fn privileged(path: &Path) -> bool {
    let Ok(meta) = std::fs::metadata(path) else { return false };
    let honoured = rustix::fs::statvfs(path).is_ok_and(|fs| !fs.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID));
    let setuid = meta.uid() == 0 && meta.mode() & 0o4000 != 0;
    // 24 bytes is the largest form of the attribute (capability.h, struct vfs_ns_cap_data).
    let capable = rustix::fs::getxattr(path, "security.capability", &mut [0u8; 24][..]).is_ok_and(|length| length > 0);
    honoured && (setuid || capable)
}

impl Found {
    /// The packages that would mend it, each once, in the order of the table.
    #[must_use]
    pub fn packages(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = Vec::new();
        for need in &self.missing {
            if !names.contains(&need.package) {
                names.push(need.package);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn install(machine: &Machine, path: &str, mode: u32) {
        let path = machine.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn programs_are_found_by_looking_and_packages_named_once() {
        let tree = tempfile::tempdir().unwrap();
        let machine = Machine::at(tree.path());
        install(&machine, "/usr/bin/crun", 0o755);
        install(&machine, "/usr/sbin/useradd", 0o755);
        install(&machine, "/usr/sbin/usermod", 0o644);
        let found = look(&machine, true);
        assert_eq!(found.packages(), ["uidmap", "mmdebstrap", "gpg", "debian-archive-keyring", "passwd", "runc"]);
        assert_eq!(found.present.len(), 2);
        assert!(!look(&machine, false).packages().contains(&"runc"));
    }

    #[test]
    fn a_helper_without_power_is_noticed() {
        let tree = tempfile::tempdir().unwrap();
        let machine = Machine::at(tree.path());
        install(&machine, "/usr/bin/newuidmap", 0o755);
        assert_eq!(look(&machine, false).powerless, [PathBuf::from("/usr/bin/newuidmap")]);
        if rustix::process::geteuid().is_root() {
            install(&machine, "/usr/bin/newuidmap", 0o4755);
            assert!(look(&machine, false).powerless.is_empty());
        }
    }
}
