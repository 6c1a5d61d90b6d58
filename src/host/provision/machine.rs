//! Where the machine's files are read from: `/`, or a fabricated tree in tests. Also the account files, which are plain
//! text in it. Reads; writes nothing.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A file system to look at.
#[derive(Clone, Debug)]
pub struct Machine {
    root: PathBuf,
    /// Directories that are searched for programs, in order.
    pub(super) program_dirs: Vec<PathBuf>,
}

/// A file that exists and cannot be read.
#[derive(Debug, Error)]
#[error("cannot read {path}")]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// One line of `/etc/passwd` (passwd(5)), as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Id of the login group.
    pub gid: u32,
}

const STANDARD_DIRS: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

impl Machine {
    /// This machine. Programs are sought in the standard directories first (an ordinary user's `PATH` has no
    /// `/usr/sbin`), then in `PATH`.
    #[must_use]
    pub fn this() -> Self {
        let mut machine = Self::at(Path::new("/"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        machine.program_dirs.extend(std::env::split_paths(&path).filter(|dir| dir.is_absolute()));
        machine
    }

    /// A machine whose file system begins at `root`.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), program_dirs: STANDARD_DIRS.map(PathBuf::from).to_vec() }
    }

    /// Where the absolute `path` of that machine is on this one.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The file system's beginning.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The text of a file; `None` when there is no such file. What is not UTF-8 in it is replaced.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Result<Option<String>, ReadError> {
        let path = self.path(path);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(source) => Err(ReadError { path, source }),
        }
    }

    /// A file of one number, such as those of `/proc/sys`; `None` when it is not there or no number.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path).ok()??.trim().parse().ok()
    }

    /// The first executable file called `name`, as a path of that machine.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let runs = |path: &PathBuf| {
            std::fs::metadata(self.path(path))
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        self.program_dirs.iter().map(|dir| dir.join(name)).find(runs)
    }

    /// The accounts of `/etc/passwd`. Accounts that only a directory service knows are not among them.
    pub(super) fn accounts(&self) -> Result<Vec<Account>, ReadError> {
        Ok(parse_passwd(&self.text("/etc/passwd")?.unwrap_or_default()))
    }
}

/// Lines that passwd(5) does not allow are passed over.
fn parse_passwd(text: &str) -> Vec<Account> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
            Some(Account { name: name.to_owned(), uid: uid.parse().ok()?, gid: gid.parse().ok()? })
        })
        .collect()
}

/// The value of `key` in the text of `/etc/login.defs` (login.defs(5)).
pub(super) fn login_def(text: &str, key: &str) -> Option<u32> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(key)).then(|| words.next()).flatten()?.parse().ok()
        })
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_login_definitions_are_read_leniently() {
        let accounts = parse_passwd("root:x:0:0:root:/root:/bin/sh\n+::::::\nbroken\nann:x:1001:1002::/home/ann:\n");
        assert_eq!(accounts.len(), 2);
        assert_eq!(accounts[1], Account { name: "ann".into(), uid: 1001, gid: 1002 });
        let text = "#SUB_UID_MIN 5\nSUB_UID_MIN\t\t  200000\nSUB_UID_MAX x\n";
        assert_eq!(login_def(text, "SUB_UID_MIN"), Some(200_000));
        assert_eq!(login_def(text, "SUB_UID_MAX"), None);
    }

    #[test]
    fn a_program_is_an_executable_file() {
        use std::os::unix::fs::PermissionsExt;
        let tree = tempfile::tempdir().unwrap();
        let machine = Machine::at(tree.path());
        std::fs::create_dir_all(machine.path("/usr/bin/crun")).unwrap();
        std::fs::create_dir_all(machine.path("/usr/sbin")).unwrap();
        std::fs::write(machine.path("/usr/sbin/runc"), "").unwrap();
        assert_eq!((machine.program("crun"), machine.program("runc")), (None, None));
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(machine.path("/usr/sbin/runc"), mode).unwrap();
        assert_eq!(machine.program("runc"), Some("/usr/sbin/runc".into()));
    }
}
