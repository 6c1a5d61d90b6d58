//! Files that a run has left below `/tmp` and its client wants back.
//!
//! The directory is hostile. It is opened while the container waits, when nothing of the job's has run in it, and read once
//! nothing of the job's runs any more: so nobody changes it meanwhile, and it is there whether process 1 is or not. Every
//! path is opened beneath its descriptor, over no link and no mount, and only regular files are read.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::unistd::Pid;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::model::{Bytes, Collected, NotCollected};

/// Bounds of what is collected.
#[derive(Clone, Copy, Debug)]
pub struct CollectBounds {
    /// Of one file.
    pub file: Bytes,
    /// Of all files of a job together.
    pub all: Bytes,
}

/// The `/tmp` of a container.
#[derive(Clone, Debug)]
pub(super) struct Tmp(Arc<OwnedFd>);

impl Tmp {
    /// That of the container whose process 1 is `init`. Nothing of a job's may have run in it.
    pub(super) fn of(init: Pid) -> io::Result<Self> {
        let directory = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(format!("/proc/{init}/root"), directory | OFlags::PATH, Mode::empty())?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let tmp = rustix::fs::openat2(root, "tmp", directory | OFlags::PATH, Mode::empty(), resolve)?;
        Ok(Self(Arc::new(tmp)))
    }

    /// What lies at each of these paths, at most `file` bytes of each and `all` of them together.
    pub(super) async fn collect(self, paths: &[String], CollectBounds { file, all }: CollectBounds) -> Vec<Collected> {
        let wanted = paths.to_vec();
        let read = tokio::task::spawn_blocking(move || {
            let mut room = all.0;
            let each = wanted.into_iter().map(|path| {
                let collected = self.read(path, file.0.min(room));
                room -= collected.bytes.len() as u64;
                collected
            });
            each.collect()
        });
        // Only a mistake of ours could panic there.
        let lost = |path: &String| Collected {
            path: path.clone(),
            missing: Some(NotCollected::Unreadable),
            ..Collected::default()
        };
        read.await.unwrap_or_else(|_| paths.iter().map(lost).collect())
    }

    fn read(&self, path: String, most: u64) -> Collected {
        match self.open(&path).and_then(|(file, size)| {
            let mut bytes = Vec::with_capacity(usize::try_from(size.min(most)).unwrap_or_default());
            file.take(most).read_to_end(&mut bytes).map_err(|_| NotCollected::Unreadable)?;
            Ok((bytes, size))
        }) {
            Ok((bytes, size)) => Collected { path, bytes, size, missing: None },
            Err(missing) => Collected { path, missing: Some(missing), ..Collected::default() },
        }
    }

    /// The file and its size.
    fn open(&self, path: &str) -> Result<(File, u64), NotCollected> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        let file = rustix::fs::openat2(&*self.0, path, flags, Mode::empty(), resolve).map_err(|errno| match errno {
            Errno::NOENT | Errno::NOTDIR => NotCollected::NotFound,
            Errno::LOOP | Errno::XDEV => NotCollected::Link,
            // A socket, or a device that there is not.
            Errno::NXIO | Errno::NODEV => NotCollected::NoFile,
            _ => NotCollected::Unreadable,
        })?;
        let stat = rustix::fs::fstat(&file).map_err(|_| NotCollected::Unreadable)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(NotCollected::NoFile);
        }
        Ok((file.into(), u64::try_from(stat.st_size).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    fn tmp(path: &Path) -> Tmp {
        Tmp(Arc::new(File::open(path).unwrap().into()))
    }

    async fn collect(dir: &Path, paths: &[&str], file: u64, all: u64) -> Vec<Collected> {
        let paths: Vec<_> = paths.iter().map(|&path| path.to_owned()).collect();
        tmp(dir).collect(&paths, CollectBounds { file: Bytes(file), all: Bytes(all) }).await
    }

    #[tokio::test]
    async fn regular_files_and_nothing_else() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("out"), "text").unwrap();
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/c"), b"\xff").unwrap();
        fs::hard_link(at("out"), at("hard")).unwrap();
        symlink(outside.path().join("secret"), at("link")).unwrap();
        symlink("out", at("inner")).unwrap();
        symlink(outside.path(), at("directory")).unwrap();
        nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let (link, none, no_file) = (NotCollected::Link, NotCollected::NotFound, NotCollected::NoFile);
        let rows: &[(&str, Result<&[u8], NotCollected>)] = &[
            ("out", Ok(b"text")),
            ("a/b/c", Ok(b"\xff")),
            ("hard", Ok(b"text")),
            ("link", Err(link)),
            ("inner", Err(link)),
            ("directory/secret", Err(link)),
            ("a/../../secret", Err(link)),
            ("/etc/passwd", Err(link)),
            ("a", Err(no_file)),
            ("fifo", Err(no_file)),
            ("socket", Err(no_file)),
            ("nothing", Err(none)),
            ("out/x", Err(none)),
        ];
        let paths: Vec<_> = rows.iter().map(|(path, _)| *path).collect();
        for (found, (path, wanted)) in collect(dir.path(), &paths, 100, 1000).await.iter().zip(rows) {
            let seen = found.missing.map_or(Ok(&found.bytes[..]), Err);
            assert_eq!((found.path.as_str(), seen), (*path, *wanted));
        }
    }

    #[tokio::test]
    async fn sizes_are_bounded_and_told() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::write(dir.path().join(name), "12345").unwrap();
        }
        File::create(dir.path().join("sparse")).unwrap().set_len(10 << 30).unwrap();
        let seen = collect(dir.path(), &["a", "sparse", "b", "c"], 4, 11).await;
        let sizes: Vec<_> = seen.iter().map(|file| (file.bytes.len(), file.size)).collect();
        assert_eq!(sizes, [(4, 5), (4, 10 << 30), (3, 5), (0, 5)]);
    }
}
