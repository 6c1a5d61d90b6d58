//! Which paths of the packages do not become part of an image. Patterns only: nothing here looks at a disk.

use crate::image::layout::FIXED_FILES;

/// Left out of every image. A pattern takes the path itself and all below it; `*` stands for any characters within one
/// component.
pub(super) const ALWAYS: &[&str] = &[
    // What a container mounts over or the host would fill in.
    "/dev/*",
    "/proc/*",
    "/sys/*",
    "/tmp/*",
    "/run/*",
    "/code",
    "/casemate",
    "/boot",
    "/home",
    "/media",
    "/mnt",
    "/srv",
    "/etc/machine-id",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/fstab",
    "/etc/motd",
    "/etc/mtab",
    "/etc/issue",
    "/etc/issue.net",
    "/etc/.pwd.lock",
    "/etc/adjtime",
    "/etc/network",
    "/etc/update-motd.d",
    "/root/*",
    // Accounts: ours are written instead.
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/subuid",
    "/etc/subuid-",
    "/etc/subgid",
    "/etc/subgid-",
    "/etc/skel",
    "/etc/login.defs",
    "/etc/securetty",
    "/etc/security",
    "/etc/pam.d",
    "/etc/pam.conf",
    // The package manager, its configuration and its databases.
    "/etc/apt",
    "/etc/dpkg",
    "/etc/debconf.conf",
    "/etc/kernel",
    "/etc/ucf.conf",
    "/usr/bin/apt*",
    "/usr/bin/dpkg*",
    "/usr/bin/update-alternatives",
    "/usr/bin/debconf*",
    "/usr/bin/deb-*",
    "/usr/bin/ucf*",
    "/usr/sbin/dpkg*",
    "/usr/sbin/start-stop-daemon",
    "/sbin/start-stop-daemon",
    "/usr/lib/apt",
    "/usr/lib/dpkg",
    "/usr/libexec/dpkg",
    "/usr/lib/*/libapt-*",
    "/usr/share/dpkg",
    "/usr/share/debconf",
    "/usr/share/ucf",
    "/usr/share/perl5/Debconf",
    "/usr/share/perl5/Debian",
    "/usr/share/perl5/Dpkg",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/ucf",
    "/var/lib/pam",
    "/var/lib/systemd",
    "/var/backups",
    // Documentation and what only a desktop or a packager reads.
    "/usr/share/doc",
    "/usr/share/doc-base",
    "/usr/share/man",
    "/usr/share/info",
    "/usr/share/locale",
    "/usr/share/lintian",
    "/usr/share/bug",
    "/usr/share/menu",
    "/usr/share/pixmaps",
    "/usr/share/applications",
    "/usr/share/bash-completion",
    "/usr/share/zsh",
    "/usr/share/fish",
    "/usr/share/pam",
    "/usr/share/pam-configs",
    "/usr/share/polkit-1",
    "/usr/share/base-files",
    "/usr/share/base-passwd",
    "/usr/share/initramfs-tools",
    "/usr/share/common-licenses",
    "/usr/share/debianutils",
    "/etc/alternatives/*.gz",
    "/etc/alternatives/README",
    // What leaves traces of the build.
    "/var/cache/*",
    "/var/log/*",
    "/var/mail/*",
    "/var/spool/*",
    "/var/tmp/*",
    "/var/local",
    "/var/opt",
    // Nothing boots here, nothing is scheduled.
    "/etc/init.d",
    "/etc/init",
    "/etc/rc?.d",
    "/etc/rcS.d",
    "/etc/cron*",
    "/etc/systemd",
    "/etc/logrotate.d",
    "/etc/default",
    "/lib/systemd",
    "/usr/lib/systemd",
    "/lib/init",
    "/usr/lib/init",
    "/lib/lsb",
    "/usr/lib/lsb",
    "/lib/udev",
    "/usr/lib/udev",
    "/usr/lib/tmpfiles.d",
    "/usr/lib/sysusers.d",
    "/usr/lib/binfmt.d",
    "/usr/share/binfmts",
    // Programs that work only as root or set-user-id.
    "/bin/mount",
    "/bin/su",
    "/bin/umount",
    "/usr/bin/chage",
    "/usr/bin/chfn",
    "/usr/bin/chsh",
    "/usr/bin/expiry",
    "/usr/bin/gpasswd",
    "/usr/bin/mount",
    "/usr/bin/newgrp",
    "/usr/bin/passwd",
    "/usr/bin/su",
    "/usr/bin/umount",
    "/usr/bin/sg",
    "/sbin/unix_chkpwd",
    "/usr/sbin/unix_chkpwd",
];

/// Left out of every imported image: what a container mounts over, what the host would fill in, and the accounts, for which
/// ours are written. All else is the image's own, and stays: what its programs read is known to nobody here.
pub(super) const IMPORTED: &[&str] = &[
    "/dev",
    "/proc",
    "/sys",
    "/tmp",
    "/run/*",
    "/code",
    "/casemate",
    "/.dockerenv",
    "/etc/machine-id",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/mtab",
    "/etc/.pwd.lock",
    "/etc/passwd-",
    "/etc/group-",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/subuid",
    "/etc/subuid-",
    "/etc/subgid",
    "/etc/subgid-",
];

/// What one image leaves out: the patterns of every image and those of its recipe.
#[derive(Debug)]
pub(super) struct LeaveOut {
    patterns: Vec<Vec<String>>,
}

impl LeaveOut {
    /// `remove` holds absolute patterns, as [`valid_pattern`] accepts them.
    pub(super) fn new(remove: &[String]) -> Self {
        Self::of(ALWAYS, remove)
    }

    /// The same for an image that was made elsewhere.
    pub(super) fn imported(remove: &[String]) -> Self {
        Self::of(IMPORTED, remove)
    }

    fn of(always: &[&str], remove: &[String]) -> Self {
        let fixed = FIXED_FILES.iter().map(|(path, _)| *path);
        let all = always.iter().copied().chain(fixed).chain(remove.iter().map(String::as_str));
        Self { patterns: all.map(|pattern| pattern[1..].split('/').map(str::to_owned).collect()).collect() }
    }

    /// Whether `path`, its components from the root of the image down, is left out by itself or with a directory above.
    pub(super) fn covers(&self, path: &[&[u8]]) -> bool {
        self.patterns.iter().any(|pattern| {
            pattern.len() <= path.len()
                && pattern.iter().zip(path).all(|(pattern, name)| matches(pattern.as_bytes(), name))
        })
    }
}

/// An absolute path without empty, `.` or `..` components.
pub(super) fn valid_pattern(pattern: &str) -> bool {
    pattern
        .strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(|part| !part.is_empty() && part != "." && part != ".."))
}

/// `*` takes any run of bytes, `?` any one. Linear in the length of the name for each `*`, so no pattern is slow.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at, from));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[from] => {
                at += 1;
                from += 1;
            }
            _ => match retry {
                Some((star, taken)) => {
                    retry = Some((star, taken + 1));
                    at = star + 1;
                    from = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(remove: &[&str], path: &str) -> bool {
        let remove: Vec<String> = remove.iter().map(|&pattern| pattern.to_owned()).collect();
        LeaveOut::new(&remove).covers(&path[1..].split('/').map(str::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn a_pattern_takes_its_path_and_all_below_it() {
        for (pattern, path, expected) in [
            ("/opt/a", "/opt/a", true),
            ("/opt/a", "/opt/a/b/c", true),
            ("/opt/a", "/opt", false),
            ("/opt/a", "/opt/ab", false),
            ("/opt/a/*", "/opt/a", false),
            ("/opt/a/*", "/opt/a/b", true),
            ("/opt/*/c", "/opt/a/b/c", false),
            ("/opt/*/c", "/opt/a/c/d", true),
            ("/opt/*-dump-*", "/opt/x-lto-dump-14", true),
            ("/opt/*-dump-*", "/opt/x-lto-dump", false),
            ("/opt/rc?.d", "/opt/rc5.d/S01x", true),
            ("/opt/rc?.d", "/opt/rc.d", false),
            ("/opt/a*a*a*b", "/opt/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(covers(&[pattern], path), expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn every_image_leaves_out_the_package_manager_the_accounts_and_the_host() {
        for path in [
            "/usr/bin/dpkg-deb",
            "/var/lib/dpkg/status",
            "/usr/share/doc/x/copyright",
            "/etc/passwd",
            "/etc/shadow",
            "/etc/machine-id",
            "/etc/resolv.conf",
            "/dev/null",
            "/tmp/x",
            "/var/log/dpkg.log",
            "/etc/cron.d/x",
        ] {
            assert!(covers(&[], path), "{path}");
        }
        for path in
            ["/usr/bin/python3", "/etc/ld.so.cache", "/usr/lib/locale/C.UTF-8/LC_CTYPE", "/tmp", "/dev", "/var/log"]
        {
            assert!(!covers(&[], path), "{path}");
        }
    }

    #[test]
    fn the_patterns_of_every_image_are_valid() {
        assert_eq!(ALWAYS.iter().chain(IMPORTED).find(|pattern| !valid_pattern(pattern)), None);
        for bad in ["", "usr", "/", "/usr/", "/a//b", "/a/../b", "/./a"] {
            assert!(!valid_pattern(bad), "{bad}");
        }
    }
}
