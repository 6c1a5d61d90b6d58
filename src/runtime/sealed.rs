//! A copy of the runtime in memory that nobody can change any more.
//!
//! crun and runc run with rights over a container that its processes lack, and a container that overwrites their program
//! through `/proc/<pid>/exe` has those rights (CVE-2019-5736). So each copies itself into a sealed file in memory at every
//! start and executes itself once more from there, unless that is where it was executed from: both ask for exactly the
//! seals that are set here (`is_self_cloned`, cloned_binary.c). One copy for all starts saves the copying and the second
//! start, which is half of what a launch costs the runtime, and protects as well.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// A program, sealed. Clones are the same file.
#[derive(Clone, Debug)]
pub struct Sealed(Arc<OwnedFd>);

impl Sealed {
    /// A sealed copy of the program at `path`; `None` for what is no ELF executable: a script is read by its interpreter,
    /// which needs a path.
    ///
    /// # Errors
    /// When it cannot be read, or the kernel makes no executable files in memory (`vm.memfd_noexec`).
    pub fn copy(path: &Path) -> io::Result<Option<Self>> {
        let mut program = Vec::new();
        File::open(path)?.read_to_end(&mut program)?;
        if !program.starts_with(b"\x7fELF") {
            return Ok(None);
        }
        let (name, flags) = (c"runtime", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING);
        // Before kernel 6.3 every one could be executed, and the flag that says so was unknown.
        let fd = memfd_create(name, flags | MemfdFlags::EXEC).or_else(|_| memfd_create(name, flags))?;
        let mut file = File::from(fd);
        file.write_all(&program)?;
        fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
        // Opened anew for reading: what is open for writing is not executed.
        let open = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)))?;
        Ok(Some(Self(Arc::new(open.into()))))
    }

    /// For executing it.
    #[must_use]
    pub fn open(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::fcntl_get_seals;

    #[test]
    fn the_copy_is_whole_and_can_never_be_changed() {
        let sealed = Sealed::copy(Path::new("/bin/true")).unwrap().unwrap();
        let mut copy = Vec::new();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&sealed.open()));
        File::open(&path).unwrap().read_to_end(&mut copy).unwrap();
        assert!(copy == std::fs::read("/bin/true").unwrap());
        let all = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        assert_eq!(fcntl_get_seals(sealed.open()).unwrap(), all);
        assert!(File::options().write(true).open(&path).and_then(|mut file| file.write_all(b"#")).is_err());
    }

    #[test]
    fn a_script_stays_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("crun");
        std::fs::write(&script, "#!/bin/sh\nexec crun\n").unwrap();
        assert!(Sealed::copy(&script).unwrap().is_none());
        assert!(Sealed::copy(&dir.path().join("nothing")).is_err());
    }
}
