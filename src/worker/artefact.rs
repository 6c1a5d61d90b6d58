//! What a compile step left in `/code`, read out of the directory so that runs can get it.
//!
//! The directory is hostile: everything is opened beneath its descriptor, without following a link, and only regular files
//! and directories count. No process of the container lives any more, so that nothing changes meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags};

use super::workdir::CodeFile;

/// Directories below directories below `/code`: packages of Java are the deepest that compilers make.
const DEPTH: usize = 32;

/// The longest path below `/code`, in bytes: it must fit into one of the service's own as well (PATH_MAX is 4096).
const PATH: usize = 3072;

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All of it.
    Files(Vec<CodeFile>),
    /// More than the bytes that were allowed, or deeper than any compiler goes. A sparse file counts with its whole length.
    TooMuch,
}

/// Reads every regular file below `code`, at most `limit` bytes together. How many names there are is bounded by the inodes
/// of the file system (`limits.*.tmp_inodes`), in which a second link takes one as well; of directories that are still to be
/// read only the paths are kept, so that however many there are, four descriptors are open at most.
pub(super) fn collect(code: &Path, limit: u64) -> io::Result<Found> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let top = rustix::fs::open(code, flags, Mode::empty())?;
    let (mut files, mut left) = (Vec::new(), limit);
    let mut unread = vec![PathBuf::new()];
    while let Some(path) = unread.pop() {
        let at = if path.as_os_str().is_empty() { Path::new(".") } else { &path };
        let dir = beneath(&top, at.as_os_str().as_bytes(), OFlags::DIRECTORY)?;
        for entry in Dir::read_from(&dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let below = path.join(std::ffi::OsStr::from_bytes(name));
            if below.components().count() > DEPTH || below.as_os_str().len() > PATH {
                return Ok(Found::TooMuch);
            }
            match entry.file_type() {
                FileType::Directory => unread.push(below),
                FileType::RegularFile => {
                    let file = beneath(&dir, name, OFlags::NONBLOCK)?;
                    let stat = rustix::fs::fstat(&file)?;
                    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                        continue;
                    }
                    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
                    if size > left {
                        return Ok(Found::TooMuch);
                    }
                    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
                    File::from(file).take(size).read_to_end(&mut bytes)?;
                    left -= bytes.len() as u64;
                    files.push(CodeFile { path: below, mode: for_everybody(stat.st_mode), bytes });
                }
                _ => {}
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Found::Files(files))
}

/// What the owner may, everybody may: the file is the service's from here on. Nobody may write.
const fn for_everybody(mode: u32) -> u32 {
    let any = mode | mode >> 3 | mode >> 6;
    (any & 0o5) * 0o111
}

fn beneath(dir: &OwnedFd, name: &[u8], more: OFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | more;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    Ok(rustix::fs::openat2(dir, name, flags, Mode::empty(), resolve)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn regular_files_come_out_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("solution"), "binary").unwrap();
        fs::set_permissions(at("solution"), fs::Permissions::from_mode(0o4775)).unwrap();
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/C.class"), "class").unwrap();
        symlink("/etc/passwd", at("link")).unwrap();
        symlink("/etc", at("directory-link")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
        fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "").unwrap();
        let Found::Files(files) = collect(dir.path(), 1000).unwrap() else { panic!("too much") };
        let seen: Vec<(&[u8], u32, &[u8])> =
            files.iter().map(|f| (f.path.as_os_str().as_bytes(), f.mode, &f.bytes[..])).collect();
        let expected: [(&[u8], u32, &[u8]); 3] =
            [(b"a/b/C.class", 0o444, b"class"), (b"solution", 0o555, b"binary"), (b"\xff", 0o444, b"")];
        assert_eq!(seen, expected);
        fs::set_permissions(at("solution"), fs::Permissions::from_mode(0o700)).unwrap();
        let Found::Files(files) = collect(dir.path(), 1000).unwrap() else { panic!("too much") };
        assert_eq!(files[1].mode, 0o555, "what its owner may execute");
    }

    #[test]
    fn what_lies_too_deep_is_not_left_out_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        let deep: PathBuf = std::iter::repeat_n("d", DEPTH).collect();
        fs::create_dir_all(dir.path().join(&deep)).unwrap();
        assert_eq!(collect(dir.path(), 10).unwrap(), Found::Files(Vec::new()));
        fs::write(dir.path().join(deep).join("file"), "").unwrap();
        assert_eq!(collect(dir.path(), 10).unwrap(), Found::TooMuch);
        let dir = tempfile::tempdir().unwrap();
        let long: PathBuf = std::iter::repeat_n("d".repeat(250), 13).collect();
        fs::create_dir_all(dir.path().join(long)).unwrap();
        assert_eq!(collect(dir.path(), 10).unwrap(), Found::TooMuch);
    }

    /// Set where the test below is the only one of its process.
    const FEW_DESCRIPTORS: &str = "CASEMATE_TEST_FEW_DESCRIPTORS";

    #[test]
    fn many_directories_take_few_descriptors() {
        if std::env::var_os(FEW_DESCRIPTORS).is_none() {
            // The limit is a whole process's, and other tests run in this one.
            let name = concat!(module_path!(), "::many_directories_take_few_descriptors");
            let name = name.split_once("::").unwrap().1;
            let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
            let seen = alone.args(["--exact", name]).env(FEW_DESCRIPTORS, "1").output().unwrap();
            let said = String::from_utf8_lossy(&seen.stdout);
            assert!(seen.status.success() && said.contains("1 passed"), "{said}");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        for number in 0..2000 {
            let one = dir.path().join(format!("{number}/below"));
            fs::create_dir_all(&one).unwrap();
            fs::write(one.join("file"), "x").unwrap();
        }
        let number = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().to_str().unwrap().parse().unwrap();
        let highest: u64 = fs::read_dir("/proc/self/fd").unwrap().map(number).max().unwrap();
        let few = highest + 8;
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, few, few).unwrap();
        let Found::Files(files) = collect(dir.path(), 2000).unwrap() else { panic!("too much") };
        assert_eq!(files.len(), 2000);
    }

    #[test]
    fn more_than_the_limit_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let sparse = File::create(dir.path().join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        assert_eq!(collect(dir.path(), 1 << 20).unwrap(), Found::TooMuch);
        sparse.set_len(10).unwrap();
        assert!(matches!(collect(dir.path(), 10).unwrap(), Found::Files(files) if files.len() == 1));
        assert_eq!(collect(dir.path(), 9).unwrap(), Found::TooMuch);
    }
}
