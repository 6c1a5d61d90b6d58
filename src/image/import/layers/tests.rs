//! Layers over one another on a disk, and hostile ones.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tar::EntryType;
use tempfile::TempDir;

use super::*;
use crate::image::import::tests::archive::{Layer, MTIME};

/// The layers unpacked with these bounds, and what was dropped.
/// Where an image was unpacked: the only thing in a directory of its own.
struct Unpacked {
    around: TempDir,
    root: PathBuf,
}

impl Unpacked {
    fn path(&self) -> &Path {
        &self.root
    }
}

fn unpacked_within(layers: &[Layer], bounds: Bounds) -> (Unpacked, Result<Dropped, String>) {
    let around = tempfile::tempdir().unwrap();
    let dir = Unpacked { root: around.path().join("image"), around };
    fs::create_dir(dir.path()).unwrap();
    let root = File::open(dir.path()).unwrap();
    let leave_out = LeaveOut::imported(&["/opt/no".to_owned()]);
    let mut tree = Layers::new(root.as_fd(), &leave_out, bounds);
    let done = layers.iter().try_for_each(|layer| tree.add(layer.bytes().as_slice(), &mut |_, _| {}));
    let done = done.map(|()| {
        tree.unpacked().finish_times(root.as_fd()).unwrap();
        tree.dropped
    });
    drop(tree);
    let done = done.map_err(|error| {
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
    });
    (dir, done)
}

fn unpacked(layers: &[Layer]) -> (Unpacked, Result<Dropped, String>) {
    unpacked_within(layers, Bounds::IN_FORCE)
}

/// Every path below `dir` with its content or target.
fn listed(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut ahead = vec![dir.to_owned()];
    while let Some(at) = ahead.pop() {
        for entry in fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().display().to_string();
            let kind = fs::symlink_metadata(&path).unwrap();
            if kind.is_dir() {
                found.push(format!("{name}/"));
                ahead.push(path);
            } else if kind.is_symlink() {
                found.push(format!("{name} -> {}", fs::read_link(&path).unwrap().display()));
            } else {
                found.push(format!("{name}: {}", String::from_utf8_lossy(&fs::read(&path).unwrap())));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn layers_lie_over_one_another() {
    let (dir, done) = unpacked(&[
        Layer::new()
            .directory("./etc/")
            .file("./etc/kept", b"1")
            .file("./etc/changed", b"1")
            .file("./etc/gone", b"1")
            .file("./full/of/much", b"1")
            .file("./emptied/old", b"1")
            .file("./was-file", b"1")
            .directory("./was-dir/")
            .file("./was-dir/inside", b"1")
            .link("./lib", "usr/lib"),
        Layer::new()
            .file("./etc/changed", b"2")
            .file("./etc/.wh.gone", b"")
            .file("./.wh.full", b"")
            .file("./emptied/new", b"2")
            .file("./emptied/.wh..wh..opq", b"")
            .directory("./was-file/")
            .file("./was-file/inside", b"2")
            .link("./was-dir", "etc")
            .file("./lib/libx", b"2"),
        Layer::new().file("./etc/gone", b"3").file("./.wh..wh.plnk/1.2", b"3"),
    ]);
    done.unwrap();
    assert_eq!(
        listed(dir.path()),
        [
            "emptied/",
            "emptied/new: 2",
            "etc/",
            "etc/changed: 2",
            "etc/gone: 3",
            "etc/kept: 1",
            "lib -> usr/lib",
            "usr/",
            "usr/lib/",
            "usr/lib/libx: 2",
            "was-dir -> etc",
            "was-file/",
            "was-file/inside: 2",
        ]
    );
}

#[test]
fn hard_links_hold_within_layers_and_across_them() {
    let (dir, done) = unpacked(&[
        Layer::new().file("a", b"first").hard_link("b", "a").link("s", "a").hard_link("t", "s"),
        Layer::new().hard_link("c", "./a").file("a", b"second").file(".wh.b", b"").hard_link("sub/d", "a"),
    ]);
    done.unwrap();
    assert_eq!(listed(dir.path()), ["a: second", "c: first", "s -> a", "sub/", "sub/d: second", "t -> a"]);
    let inode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().ino();
    assert_eq!(inode("a"), inode("sub/d"));
    assert_ne!(inode("a"), inode("c"));
}

#[test]
fn what_is_dangerous_is_dropped_and_counted() {
    let capability: &[u8] = b"\x01\x00\x00\x02\n\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let (dir, done) = unpacked(&[Layer::new()
        .entry("bin/su", EntryType::Regular, 0o4755, "", b"su")
        .entry("bin/wall", EntryType::Regular, 0o2711, "", b"wall")
        .pax(&[("SCHILY.xattr.security.capability", capability), ("mtime", b"1600000000.123456789")])
        .program("bin/ping", b"ping")
        .entry("secret", EntryType::Regular, 0o600, "", b"s")
        .entry("disk", EntryType::Block, 0o666, "", b"")
        .entry("null", EntryType::Char, 0o666, "", b"")
        .entry("pipe", EntryType::Fifo, 0o666, "", b"")
        .entry("world", EntryType::Directory, 0o1777, "", b"")
        .file("etc/shadow", b"root:$6$x")
        .file("opt/no/x", b"x")
        .file("dev/console", b"")]);
    assert_eq!(done.unwrap(), Dropped { devices: 3, set_id: 2, xattrs: 1, left_out: 3 });
    assert_eq!(listed(dir.path()), ["bin/", "bin/ping: ping", "bin/su: su", "bin/wall: wall", "secret: s", "world/"]);
    for (path, mode) in [("bin/su", 0o755), ("bin/wall", 0o755), ("secret", 0o644), ("world", 0o755)] {
        let found = fs::symlink_metadata(dir.path().join(path)).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{path}");
        assert_eq!(found.mtime().cast_unsigned(), MTIME, "{path}");
    }
    let mut value = [0_u8; 64];
    let read = rustix::fs::lgetxattr(dir.path().join("bin/ping"), "security.capability", &mut value[..]);
    assert_eq!(read, Err(rustix::io::Errno::NODATA));
}

#[test]
fn nothing_that_leads_out_is_taken() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    fs::write(outside.path().join("secret"), "s").unwrap();
    let secret = format!("{target}/secret");
    let up = "../".repeat(40);
    for (layers, expected) in [
        (vec![Layer::new().file("/etc/cron.d/x", b"")], "absolute paths are not taken"),
        (vec![Layer::new().file("a/../../x", b"")], "`..` is not taken"),
        (vec![Layer::new().link("way", &up).file("way/x", b"")], "leads out of the image"),
        (vec![Layer::new().link("way", &format!("{up}{target}")), Layer::new().file("way/x", b"")], "leads out"),
        (vec![Layer::new().hard_link("x", &secret)], "absolute paths are not taken"),
        (vec![Layer::new().hard_link("x", "../secret")], "`..` is not taken"),
        (vec![Layer::new().link("way", &up).hard_link("x", "way/secret")], "leads out of the image"),
        (vec![Layer::new().hard_link("x", "missing")], "not in the image before it"),
        (vec![Layer::new().directory("d").hard_link("x", "d")], "not in the image before it"),
        (vec![Layer::new().file("a", b"").hard_link("a", "a")], "not in the image before it"),
        (vec![Layer::new().link("a", "b").link("b", "a").file("a/x", b"")], "in a circle"),
        (vec![Layer::new().file("a", b"").file("a/x", b"")], "is a file"),
        (vec![Layer::new().file("d/.wh...", b"")], "takes nothing away that has a name"),
        (vec![Layer::new().file("d/.wh.", b"")], "takes nothing away that has a name"),
        (vec![Layer::new().file(".wh.d/x", b"")], "in something that is taken away"),
        (vec![Layer::new().link("way", &up), Layer::new().file("way/.wh.x", b"")], "leads out of the image"),
        (vec![Layer::new().link("l", "")], "impossible name"),
        (vec![Layer::new().entry("v", EntryType::new(b'V'), 0o644, "", b"")], "no layer has an entry of this type"),
        (vec![Layer::new().file(&"d/".repeat(200), b"")], "too deep"),
        (vec![Layer::new().file(&"x".repeat(256), b"")], "longer than 255"),
    ] {
        let (dir, done) = unpacked(&layers);
        let error = done.unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(error.len() < 500, "a name must not flood the log: {error}");
        assert_eq!(fs::read_dir(dir.around.path()).unwrap().count(), 1, "{expected}: something lies beside the image");
    }
    // An absolute link begins at the root of the image, as it would in a container.
    let (dir, done) = unpacked(&[Layer::new().link("way", "/srv/there"), Layer::new().file("way/x", b"inside")]);
    done.unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("srv/there/x")).unwrap(), "inside");
    assert!(!Path::new("/srv/there").exists());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::metadata(&secret).unwrap().nlink(), 1);
}

#[test]
fn every_bound_holds() {
    let bounds = Bounds { entries: 10, bytes: 1000, names: 100, depth: 3, ..Bounds::IN_FORCE };
    let many = (0..11).fold(Layer::new(), |layer, n| layer.file(&n.to_string(), b""));
    let again = vec![Layer::new().file("f", &[1; 400]); 3];
    let hole = Layer::new()
        .pax(&[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"9000000000000"), ("GNU.sparse.name", b"hole")])
        .file("hole", b"x");
    for (layers, expected) in [
        (vec![many], "more than 10 entries"),
        (again, "more than 1000 bytes"),
        (vec![hole], "more than 1000 bytes"),
        (vec![Layer::new().file(&"n".repeat(101), b"")], "more than 100 bytes of names"),
        (vec![Layer::new().file("a/b/c/d/e", b"")], "too deep"),
    ] {
        let error = unpacked_within(&layers, bounds).1.unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    unpacked_within(&[Layer::new().file("a/b/c/d", &[1; 900])], bounds).1.unwrap();
}

#[test]
fn a_file_with_holes_takes_no_room_for_them() {
    let (dir, done) = unpacked(&[Layer::new()
        .pax(&[("GNU.sparse.map", b"1048576,4"), ("GNU.sparse.size", b"16777216"), ("GNU.sparse.name", b"hole")])
        .file("made-up", b"data")]);
    done.unwrap();
    let found = fs::metadata(dir.path().join("hole")).unwrap();
    assert_eq!(found.len(), 16 << 20);
    assert!(found.blocks() * 512 < 1 << 20, "{} blocks", found.blocks());
    assert_eq!(fs::read(dir.path().join("hole")).unwrap()[1 << 20..][..5], *b"data\0");
}

proptest! {
    /// Whatever layers say, all of it lands in the directory or nowhere, and what is known of the tree is the tree.
    #[test]
    fn the_disk_is_what_is_known_and_nothing_leaves_it(
        entries in prop::collection::vec((
            prop::collection::vec(prop::sample::select(vec!["a", "b", "c", ".wh.a", ".wh.b", ".wh..wh..opq", "..", "."]), 1..4),
            prop::sample::select(vec![EntryType::Regular, EntryType::Directory, EntryType::Symlink, EntryType::Link]),
            prop::sample::select(vec!["..", "../outside", "/", "/a", "a", "b/c", "../a"]),
            any::<bool>(),
        ), 1..24)
    ) {
        let top = tempfile::tempdir().unwrap();
        let inside = top.path().join("inside");
        fs::create_dir(&inside).unwrap();
        fs::create_dir(top.path().join("outside")).unwrap();
        let root = File::open(&inside).unwrap();
        let leave_out = LeaveOut::imported(&[]);
        let mut tree = Layers::new(root.as_fd(), &leave_out, Bounds::IN_FORCE);
        // One at a time, so that what is refused does not keep the rest from being tried.
        for (parts, kind, target, next) in entries {
            let content: &[u8] = if kind == EntryType::Regular { b"x" } else { b"" };
            let layer = Layer::new().entry(&parts.join("/"), kind, 0o777, target, content);
            let _ = tree.add(layer.bytes().as_slice(), &mut |_, _| {});
            tree.layer -= usize::from(!next);
        }
        let known: Vec<String> = {
            let mut known: Vec<String> = tree.merged.iter().map(|(path, kind)| {
                let path = String::from_utf8_lossy(path);
                match kind {
                    Kind::Directory(_) => format!("{path}/"),
                    Kind::File(_) => format!("{path}: x"),
                    Kind::Symlink(target) => format!("{path} -> {}", String::from_utf8_lossy(target)),
                }
            }).collect();
            known.sort();
            known
        };
        prop_assert_eq!(listed(&inside), known);
        prop_assert_eq!(fs::read_dir(top.path()).unwrap().count(), 2);
        prop_assert_eq!(fs::read_dir(top.path().join("outside")).unwrap().count(), 0);
    }
}
