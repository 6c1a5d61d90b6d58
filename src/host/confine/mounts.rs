//! What the service sees of the machine's files is read-only, but for what is its own. In its own mount namespace, mount by
//! mount; nobody else notices.
//!
//! Left writable, beside the places that are named: `/proc`, for a container's `/proc` can be mounted only where the one
//! there is not restricted more (`mount_too_revealing`, fs/namespace.c). The device files are not: a container gets them as they
//! are mounted here, and a job that could set the times of one would leave marks on the machine. Writing to a device is decided
//! by its permissions, not by the mount.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use super::ConfineError;
use crate::host::provision::unescape;

const TABLE: &str = "/proc/thread-self/mountinfo";
const PROC: &str = "/proc";

/// A mount that can be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Where it is mounted.
    pub point: PathBuf,
    id: u64,
    flags: MsFlags,
}

/// Makes every mount read-only that can be reached and holds none of `own`; each of these is mounted upon itself, so that it
/// stays writable alone. What is mounted later is as whoever mounts it has it.
///
/// # Errors
/// When the kernel refuses, or something can be written to afterwards.
pub fn keep_only(own: &[&Path]) -> Result<(), ConfineError> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for path in own {
        // One that is not there is made by whoever can write to its parent, as ever.
        let Some(there) = path.ancestors().find(|place| place.is_dir()) else { continue };
        let path = fs::canonicalize(there).map_err(ConfineError::Table)?;
        if path == Path::new("/") || kept.contains(&path) {
            continue;
        }
        let none: Option<&str> = None;
        mount(Some(&path), &path, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
            .map_err(|source| ConfineError::Keep { path: path.clone(), source })?;
        kept.push(path);
    }
    let kept: Vec<&Path> = kept.iter().map(PathBuf::as_path).collect();
    for Open { point, flags, .. } in open(&kept)? {
        let none: Option<&str> = None;
        let all = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | flags;
        mount(none, &point, none, all, none).map_err(|source| ConfineError::Seal { path: point, source })?;
    }
    match open(&kept)?.into_iter().next() {
        None => Ok(()),
        Some(left) => Err(ConfineError::StillOpen(left.point)),
    }
}

/// What can be written to, as far as mounts decide, beside `kept` and `/proc`.
///
/// # Errors
/// When the mount table cannot be read.
pub fn open(kept: &[&Path]) -> Result<Vec<Open>, ConfineError> {
    let table = fs::read_to_string(TABLE).map_err(ConfineError::Table)?;
    let spared = |point: &Path| kept.iter().any(|own| point.starts_with(own)) || point.starts_with(PROC);
    Ok(writable(&table).filter(|mount| !spared(&mount.point) && is_seen(mount)).collect())
}

/// The mounts of a table that are not read-only: `ID PARENT MAJ:MIN ROOT POINT OPTIONS …` (proc_pid_mountinfo(5)).
fn writable(table: &str) -> impl Iterator<Item = Open> {
    table.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let id = words.next()?.parse().ok()?;
        let (point, options) = (words.nth(3)?, words.next()?);
        let options: Vec<&str> = options.split(',').collect();
        (!options.contains(&"ro")).then(|| Open { point: unescape(point).into(), id, flags: flags(&options) })
    })
}

/// What a remount has to say again, or it would be taken away; the kernel refuses that for what an outer namespace has set.
/// What is not said of access times stays as it is (mount(2)).
fn flags(options: &[&str]) -> MsFlags {
    let known = [
        ("nosuid", MsFlags::MS_NOSUID),
        ("nodev", MsFlags::MS_NODEV),
        ("noexec", MsFlags::MS_NOEXEC),
        ("nosymfollow", MsFlags::from_bits_retain(libc::MS_NOSYMFOLLOW)),
    ];
    known.into_iter().filter(|(word, _)| options.contains(word)).map(|(_, flag)| flag).collect()
}

/// Whether this is what its path leads to: nothing is mounted over it, and the way there is open to the service. What it
/// cannot reach it cannot write to.
fn is_seen(mount: &Open) -> bool {
    let flags = AtFlags::NO_AUTOMOUNT | AtFlags::SYMLINK_NOFOLLOW;
    let found = statx(CWD, &mount.point, flags, StatxFlags::MNT_ID);
    // A kernel before 5.8 does not say; then what is hidden is refused, and that stops the start.
    found.is_ok_and(|found| found.stx_mask & StatxFlags::MNT_ID.bits() == 0 || found.stx_mnt_id == mount.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_told_with_what_a_remount_must_not_take_away() {
        let table = "22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
                     23 22 0:21 / /a\\040b rw,nosuid,nodev,noexec,nosymfollow - tmpfs tmpfs rw\n\
                     24 22 0:22 / /ro ro,nosuid - tmpfs tmpfs rw\n";
        let found: Vec<Open> = writable(table).collect();
        let hard = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let [root, other] = &found[..] else { panic!("{found:?}") };
        assert_eq!((root.id, root.point.as_path(), root.flags), (22, Path::new("/"), MsFlags::empty()));
        assert_eq!((other.id, other.point.as_path()), (23, Path::new("/a b")));
        assert_eq!(other.flags, hard | MsFlags::from_bits_retain(libc::MS_NOSYMFOLLOW));
    }

    /// In a mount namespace of a thread's own, where there is the right to make one.
    #[test]
    fn only_what_is_ones_own_can_be_written_afterwards() {
        use nix::sched::{CloneFlags, unshare};
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let done = std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS).unwrap();
                let none: Option<&str> = None;
                mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
                let write = |at: &Path| fs::write(at.join("file"), "x").map_err(|error| error.raw_os_error());
                let before = (write(home.path()), write(other.path()));
                keep_only(&[home.path()]).unwrap();
                let null = fs::File::options().write(true).open("/dev/null").map(drop).map_err(|e| e.raw_os_error());
                (before, (write(home.path()), write(other.path())), null)
            });
            work.join().unwrap()
        });
        assert_eq!(done, ((Ok(()), Ok(())), (Ok(()), Err(Some(libc::EROFS))), Ok(())));
    }
}
