//! Control files, always relative to an open directory: the mount under which they were found may be covered later.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::unistd::Pid;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::retry_on_intr;

use super::CgroupError;

/// An open cgroup directory.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    label: String,
}

impl Dir {
    /// Opens `path`, known as `label` in messages.
    pub(super) fn open(path: &Path, label: &str) -> Result<Self, CgroupError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|e| CgroupError::File {
            action: "open",
            file: label.to_owned(),
            source: e.into(),
        })?;
        Ok(Self { fd, label: label.to_owned() })
    }

    /// Opens the child `name`, made first if it is not there.
    pub(super) fn child(&self, name: &str) -> Result<Self, CgroupError> {
        match rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => self.existing(name),
            Err(e) => Err(self.error("make", name, e.into())),
        }
    }

    /// Makes the child `name`, which must not be there, and opens it.
    pub(super) fn new_child(&self, name: &str) -> Result<Self, CgroupError> {
        rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(0o755))
            .map_err(|e| self.error("make", name, e.into()))?;
        self.existing(name)
    }

    /// Opens the child `name`.
    pub(super) fn existing(&self, name: &str) -> Result<Self, CgroupError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd =
            rustix::fs::openat(&self.fd, name, flags, Mode::empty()).map_err(|e| self.error("open", name, e.into()))?;
        Ok(Self { fd, label: format!("{}/{name}", self.label) })
    }

    /// Removes the child `name`; one that is not there is fine.
    pub(super) fn remove(&self, name: &str) -> Result<(), CgroupError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(e) => Err(self.error("remove", name, e.into())),
        }
    }

    /// Locks the directory against every other holder, without waiting; the lock goes when this value does (flock(2)).
    pub(super) fn lock(&self) -> Result<(), CgroupError> {
        rustix::fs::flock(&self.fd, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|e| self.error("lock", "", e.into()))
    }

    /// Waits for the lock on the directory; it goes when the returned value does.
    pub(super) fn wait_lock(&self) -> Result<OwnedFd, CgroupError> {
        let failed = |e: rustix::io::Errno| self.error("lock", "", e.into());
        // A description of its own: a lock belongs to the open file description, not to the descriptor.
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let own = rustix::fs::openat(&self.fd, ".", flags, Mode::empty()).map_err(failed)?;
        rustix::fs::flock(&own, rustix::fs::FlockOperation::LockExclusive).map_err(failed)?;
        Ok(own)
    }

    /// The names of the children.
    pub(super) fn children(&self) -> Result<Vec<String>, CgroupError> {
        let failed = |e: rustix::io::Errno| self.error("list", "", e.into());
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy();
            if entry.file_type() == rustix::fs::FileType::Directory && name != "." && name != ".." {
                names.push(name.into_owned());
            }
        }
        Ok(names)
    }

    /// Whether the control file is there.
    pub(super) fn has(&self, file: &str) -> bool {
        rustix::fs::statat(&self.fd, file, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Opens a control file for writing.
    pub(super) fn writable(&self, file: &str) -> Result<OwnedFd, CgroupError> {
        rustix::fs::openat(&self.fd, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| self.error("open", file, e.into()))
    }

    /// Opens a control file for reading.
    pub(super) fn readable(&self, file: &str) -> Result<OwnedFd, CgroupError> {
        rustix::fs::openat(&self.fd, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|e| self.error("open", file, e.into()))
    }

    /// Writes `value` in one call.
    pub(super) fn write(&self, file: &str, value: &str) -> Result<(), CgroupError> {
        let fd = self.writable(file)?;
        // Resizing a memory cgroup gives up when any signal is pending (`mem_cgroup_resize_max`), and children end all the
        // time here.
        match retry_on_intr(|| rustix::io::write(&fd, value.as_bytes())) {
            Ok(n) if n == value.len() => Ok(()),
            Ok(_) => Err(self.error("write", file, io::ErrorKind::WriteZero.into())),
            Err(e) => Err(self.error("write", file, e.into())),
        }
    }

    /// The whole file, without the white space at its end.
    pub(super) fn read(&self, file: &str) -> Result<String, CgroupError> {
        let fd = self.readable(file)?;
        let mut bytes = Vec::with_capacity(512);
        let mut chunk = [0; 4096];
        loop {
            match retry_on_intr(|| rustix::io::read(fd.as_fd(), &mut chunk)) {
                Ok(0) => break,
                Ok(n) => bytes.extend_from_slice(&chunk[..n]),
                Err(e) => return Err(self.error("read", file, e.into())),
            }
        }
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// A file of one record, without the white space at its end: the kernel hands a record over in one piece as far as there
    /// is room for it (`seq_read_iter`, fs/seq_file.c), so that no second call is needed to find the end. Lists of processes
    /// have many records.
    fn record(&self, file: &str) -> Result<String, CgroupError> {
        let fd = self.readable(file)?;
        let mut bytes = [0; 4096];
        match retry_on_intr(|| rustix::io::read(fd.as_fd(), &mut bytes)) {
            Ok(n) if n < bytes.len() => Ok(String::from_utf8_lossy(&bytes[..n]).trim_end().to_owned()),
            Ok(_) => self.read(file),
            Err(e) => Err(self.error("read", file, e.into())),
        }
    }

    /// The file as one number, if it is one.
    pub(super) fn number(&self, file: &str) -> Option<u64> {
        self.record(file).ok()?.parse().ok()
    }

    /// The number after `key` in a file of `key value` lines, if there is one.
    pub(super) fn keyed(&self, file: &str, key: &str) -> Option<u64> {
        keyed(&self.record(file).ok()?, key)
    }

    /// Fails unless the file reads `expected`.
    pub(super) fn expect(&self, file: &str, expected: &str) -> Result<(), CgroupError> {
        let found = self.record(file)?;
        if found == expected {
            return Ok(());
        }
        Err(CgroupError::Differs { file: self.path(file), found, expected: expected.to_owned() })
    }

    /// Fails unless `pid` is listed in `cgroup.procs`.
    pub(super) fn expect_member(&self, pid: Pid) -> Result<(), CgroupError> {
        let list = self.read("cgroup.procs")?;
        if list.lines().any(|line| line.parse() == Ok(pid.as_raw())) {
            return Ok(());
        }
        Err(CgroupError::Astray { pid: pid.as_raw(), file: self.path("cgroup.procs") })
    }

    /// Sends SIGKILL to everything listed but `spared`, until nothing new appears.
    pub(super) fn kill_members(&self, spared: Option<Pid>) {
        let mut seen = std::collections::HashSet::new();
        while let Ok(list) = self.read("cgroup.procs") {
            let fresh: Vec<i32> = list.lines().filter_map(|l| l.parse().ok()).filter(|p| seen.insert(*p)).collect();
            if fresh.is_empty() {
                return;
            }
            for pid in fresh.into_iter().filter(|&p| p > 0 && spared != Some(Pid::from_raw(p))) {
                // One that is gone already is what we want.
                let _ = nix::sys::signal::kill(Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
            }
        }
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.label)
    }

    fn error(&self, action: &'static str, file: &str, source: io::Error) -> CgroupError {
        CgroupError::File { action, file: self.path(file), source }
    }
}

pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_matched_whole() {
        let text = "oom 3\noom_kill 1\noom_group_kill x\n";
        assert_eq!(keyed(text, "oom_kill"), Some(1));
        assert_eq!(keyed(text, "oom"), Some(3));
        assert_eq!(keyed(text, "oom_group_kill"), None);
        assert_eq!(keyed(text, "max"), None);
    }

    #[test]
    fn a_long_file_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("memory.stat"), "other 1\n".repeat(600) + "last 7\n").unwrap();
        let opened = Dir::open(dir.path(), "memory").unwrap();
        assert_eq!(opened.keyed("memory.stat", "last"), Some(7));
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("pids.max"), "max\n").unwrap();
        let opened = Dir::open(dir.path(), "pids").unwrap();
        let error = opened.expect("pids.max", "64").unwrap_err().to_string();
        assert_eq!(error, r#"pids/pids.max reads "max", expected 64"#);
    }
}
