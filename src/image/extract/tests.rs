//! Hostile archives, made here, and what becomes of them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use proptest::prelude::*;
use tar::EntryType;
use tempfile::TempDir;

use super::*;
use crate::image::build::tests::Stream;

fn unpack_into(dir: &Path, bytes: &[u8]) -> Result<Unpacked, String> {
    let root = File::open(dir).unwrap();
    let done = unpack(bytes, root.as_fd(), &LeaveOut::new(&[]), &mut |_, _| {});
    done.map_err(|error| {
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
    })
}

fn unpacked(stream: Stream) -> (TempDir, Result<Unpacked, String>) {
    let dir = tempfile::tempdir().unwrap();
    let done = unpack_into(dir.path(), &stream.end());
    (dir, done)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn modes_become_plain_and_times_are_kept() {
    let stream = Stream::new()
        .entry("./usr/", EntryType::Directory, 0o2700, "", b"")
        .entry("./usr/sudo", EntryType::Regular, 0o4711, "", b"root")
        .entry("./usr/secret", EntryType::Regular, 0o600, "", b"x")
        .entry("./usr/shared", EntryType::Regular, 0o2666, "", b"x")
        .entry("./usr/link", EntryType::Symlink, 0o777, "/etc/alternatives/x", b"")
        .entry("./usr/twin", EntryType::Link, 0o644, "./usr/secret", b"");
    let (dir, done) = unpacked(stream);
    let done = done.unwrap();
    let root = File::open(dir.path()).unwrap();
    done.finish_times(root.as_fd()).unwrap();
    for (path, expected) in
        [("usr", 0o755), ("usr/sudo", 0o755), ("usr/secret", 0o644), ("usr/shared", 0o644), ("usr/twin", 0o644)]
    {
        let path = dir.path().join(path);
        assert_eq!(mode(&path), expected, "{}", path.display());
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!((found.mtime(), found.mtime_nsec()), (Stream::MTIME, 0), "{}", path.display());
        assert_eq!(found.uid(), rustix::process::geteuid().as_raw());
    }
    assert_eq!(fs::read_link(dir.path().join("usr/link")).unwrap(), Path::new("/etc/alternatives/x"));
    assert_eq!(fs::symlink_metadata(dir.path().join("usr/link")).unwrap().mtime(), Stream::MTIME);
    let inode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().ino();
    assert_eq!(inode("usr/secret"), inode("usr/twin"));
    assert_eq!(done.contents[b"usr/twin".as_slice()], Digest::of(b"x"));
    assert_eq!((done.entries, done.bytes), (6, 6));
}

#[test]
fn devices_and_fifos_are_passed_over() {
    let (dir, done) = unpacked(
        Stream::new()
            .entry("./disk", EntryType::Block, 0o666, "", b"")
            .entry("./null", EntryType::Char, 0o666, "", b"")
            .entry("./pipe", EntryType::Fifo, 0o666, "", b"")
            .entry("./file", EntryType::Regular, 0o644, "", b"after"),
    );
    assert_eq!(done.unwrap().entries, 1);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn hostile_paths_are_refused() {
    let long = "x".repeat(256);
    let deep = "d/".repeat(2100);
    for (path, expected) in [
        ("/etc/cron", "absolute"),
        ("../out", "`..`"),
        ("./a/../../out", "`..`"),
        ("a/..", "`..`"),
        (long.as_str(), "longer than 255"),
        (deep.as_str(), "longer than 4095"),
    ] {
        for kind in [EntryType::Regular, EntryType::Directory, EntryType::Symlink, EntryType::Fifo] {
            let error = unpacked(Stream::new().entry(path, kind, 0o644, "t", b"")).1.unwrap_err();
            assert!(error.contains(expected), "{path}: {error}");
            assert!(error.len() < 400, "a name must not flood the log");
        }
    }
    let huge = "y".repeat(200_000);
    let error = unpacked(Stream::new().entry(&huge, EntryType::Regular, 0o644, "", b"")).1.unwrap_err();
    assert!(error.contains("a name of over 65536 bytes"), "{error}");
}

#[test]
fn a_name_of_the_longest_length_is_taken() {
    let name = format!("./{}/{}", "n".repeat(255), "m".repeat(255));
    let (dir, done) = unpacked(Stream::new().entry(&name, EntryType::Regular, 0o644, "", b"content"));
    done.unwrap();
    assert_eq!(fs::read(dir.path().join(&name)).unwrap(), b"content");
}

#[test]
fn nothing_is_written_through_a_symbolic_link() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    for (link, then, kind) in [
        ("./way", "./way/file", EntryType::Regular),
        ("./way", "./way/dir", EntryType::Directory),
        ("./way", "./way/deep/dir/file", EntryType::Regular),
        ("./way", "./way/link", EntryType::Symlink),
    ] {
        let stream =
            Stream::new().entry(link, EntryType::Symlink, 0o777, target, b"").entry(then, kind, 0o644, "t", b"x");
        let error = unpacked(stream).1.unwrap_err();
        assert!(error.contains("without following links"), "{then}: {error}");
    }
    // Over the link itself.
    for kind in [EntryType::Regular, EntryType::Directory, EntryType::Symlink] {
        let stream =
            Stream::new().entry("./way", EntryType::Symlink, 0o777, target, b"").entry("./way", kind, 0o644, "t", b"");
        assert!(unpacked(stream).1.is_err(), "{kind:?}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_that_was_open_and_became_a_link_is_not_taken_from_memory() {
    // The extractor remembers the last directory; a link that stood there before the build must still be refused.
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join("a")).unwrap();
    let bytes = Stream::new().entry("./a/b", EntryType::Regular, 0o644, "", b"x").end();
    assert!(unpack_into(dir.path(), &bytes).is_err());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn hard_links_reach_files_of_the_image_only() {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "s").unwrap();
    let secret = secret.to_str().unwrap();
    let linked = |target: &str| {
        Stream::new()
            .entry("./dir/", EntryType::Directory, 0o755, "", b"")
            .entry("./way", EntryType::Symlink, 0o777, secret, b"")
            .entry("./up", EntryType::Symlink, 0o777, outside.path().to_str().unwrap(), b"")
            .entry("./twin", EntryType::Link, 0o644, target, b"")
    };
    for target in [secret, "../secret", "./way", "./up/secret", "./dir", "./missing", "./", "./usr/share/doc/x"] {
        let (dir, done) = unpacked(linked(target));
        assert!(done.is_err(), "{target}");
        assert!(!dir.path().join("twin").exists(), "{target}");
    }
    assert_eq!(fs::metadata(secret).unwrap().nlink(), 1);
}

#[test]
fn what_comes_twice_or_in_pieces_or_broken_off_is_refused() {
    let file = || Stream::new().entry("./f", EntryType::Regular, 0o644, "", b"first");
    assert!(unpacked(file().entry("./f", EntryType::Regular, 0o644, "", b"second")).1.is_err());
    assert!(unpacked(Stream::new().entry("./s", EntryType::GNUSparse, 0o644, "", b"")).1.is_err());
    assert!(unpacked(Stream::new().entry("./v", EntryType::new(b'V'), 0o644, "", b"")).1.is_err());
    let dir = tempfile::tempdir().unwrap();
    let whole = Stream::new().entry("./f", EntryType::Regular, 0o644, "", &[7; 4000]).end();
    assert!(unpack_into(dir.path(), &whole[..2000]).is_err());
}

#[test]
fn the_list_of_packages_is_read_and_left_out() {
    let stream = Stream::new()
        .entry("./var/lib/dpkg/status", EntryType::Regular, 0o644, "", b"Package: x\n")
        .entry("./var/lib/dpkg/info/x.list", EntryType::Regular, 0o644, "", b"")
        .entry("./dev/console", EntryType::Regular, 0o644, "", b"")
        .entry("./usr/share/doc/x/copyright", EntryType::Regular, 0o644, "", b"");
    let (dir, done) = unpacked(stream);
    let done = done.unwrap();
    assert_eq!((done.status.as_slice(), done.entries), (b"Package: x\n".as_slice(), 0));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

proptest! {
    /// Whatever an archive says, all of it lands in the directory or nowhere.
    #[test]
    fn nothing_leaves_the_directory(
        entries in prop::collection::vec((
            prop::collection::vec(prop::sample::select(vec!["a", "b", "..", ".", "", "link", "/"]), 1..5),
            prop::sample::select(vec![EntryType::Regular, EntryType::Directory, EntryType::Symlink, EntryType::Link]),
            prop::sample::select(vec!["..", "../..", "/", "a", "../outside", "a/../../outside"]),
        ), 1..8)
    ) {
        let top = tempfile::tempdir().unwrap();
        let inside = top.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::create_dir(top.path().join("outside")).unwrap();
        let stream = entries.iter().fold(Stream::new(), |stream, (parts, kind, target)| {
            stream.entry(&parts.join("/"), *kind, 0o777, target, b"x")
        });
        let _ = unpack_into(&inside, &stream.end());
        let mut names: Vec<_> = fs::read_dir(top.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        prop_assert_eq!(names, ["inside", "outside"]);
        prop_assert_eq!(fs::read_dir(top.path().join("outside")).unwrap().count(), 0);
    }
}
