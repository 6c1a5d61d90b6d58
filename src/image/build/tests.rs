//! Builds with a stand-in for mmdebstrap, and what happens to the images afterwards.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::sync::mpsc;

use tar::EntryType;
use tempfile::TempDir;

use super::*;
use crate::image::digest::Digest;
use crate::image::error::VerifyError;
use crate::image::images::{LISTING, MANIFEST, ROOTFS};
use crate::image::install::set_readable;
use crate::image::layout::{FIXED_FILES, Kind, MOUNT_POINTS};
use crate::image::progress::Silent;
use crate::image::recipe::Recipes;

/// A tar stream with names that no tar program would write.
pub(crate) struct Stream(Vec<u8>);

impl Stream {
    pub(crate) const MTIME: i64 = 1_000_000_000;

    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn entry(mut self, path: &str, kind: EntryType, mode: u32, link: &str, content: &[u8]) -> Self {
        if path.len() > 100 {
            self = self.raw("././@LongLink", EntryType::GNULongName, 0, "", format!("{path}\0").as_bytes());
        }
        if link.len() > 100 {
            self = self.raw("././@LongLink", EntryType::GNULongLink, 0, "", format!("{link}\0").as_bytes());
        }
        let content = if kind == EntryType::Regular { content } else { b"" };
        self.raw(&path[..path.len().min(100)], kind, mode, &link[..link.len().min(100)], content)
    }

    fn raw(mut self, path: &str, kind: EntryType, mode: u32, link: &str, content: &[u8]) -> Self {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(Self::MTIME.cast_unsigned());
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

const STATUS: &[u8] = b"Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2\n";

fn small() -> Stream {
    Stream::new()
        .entry("./", EntryType::Directory, 0o755, "", b"")
        .entry("./etc/", EntryType::Directory, 0o755, "", b"")
        .entry("./etc/passwd", EntryType::Regular, 0o644, "", b"root:x:0:0::/root:/bin/bash\n")
        .entry("./tmp/", EntryType::Directory, 0o1777, "", b"")
        .entry("./usr/bin/", EntryType::Directory, 0o755, "", b"")
        .entry("./usr/bin/tool", EntryType::Regular, 0o4755, "", b"#!/bin/sh\n")
        .entry("./usr/bin/alias", EntryType::Symlink, 0o777, "tool", b"")
        .entry("./bin", EntryType::Symlink, 0o777, "usr/bin", b"")
        .entry("./var/lib/dpkg/status", EntryType::Regular, 0o644, "", STATUS)
}

/// A directory of images with a program in mmdebstrap's place.
struct Yard {
    dir: TempDir,
    images: Images,
    options: BuildOptions,
    recipes: Recipes,
}

impl Yard {
    fn new(stream: Stream, script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        set_readable(dir.path()).unwrap();
        fs::write(dir.path().join("stream.tar"), stream.end()).unwrap();
        let program = dir.path().join("mmdebstrap");
        let script = format!("#!/bin/sh\nhere={}\n{script}\n", dir.path().display());
        fs::write(dir.path().join("script"), script).unwrap();
        // Another process writes it: a descriptor open for writing that a fork of a neighbouring test inherits would make
        // the start fail with ETXTBSY.
        let copied = Command::new("install").args(["-m", "755"]).arg(dir.path().join("script")).arg(&program).status();
        assert!(copied.unwrap().success());
        let images = Images::open(&dir.path().join("images")).unwrap();
        let options = BuildOptions { program, ..BuildOptions::default() };
        Self { dir, images, options, recipes: Recipes::load(None).unwrap() }
    }

    fn delivering(stream: Stream) -> Self {
        Self::new(stream, "cat $here/stream.tar")
    }

    fn recipe(&self) -> &Recipe {
        self.recipes.get("gcc").unwrap()
    }

    fn build(&self) -> Result<Image, BuildError> {
        self.build_of(self.recipe(), &self.options)
    }

    fn build_of(&self, recipe: &Recipe, options: &BuildOptions) -> Result<Image, BuildError> {
        match self.images.build_all_as_anyone(&[recipe], options, &Silent) {
            Ok(mut images) => Ok(images.remove(0)),
            Err(mut errors) => Err(errors.remove(0)),
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.images.dir).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != ".lock" && name != "cache");
        names.sort();
        names
    }
}

#[test]
fn a_built_image_has_every_mount_point_and_fixed_file() {
    let yard = Yard::delivering(small());
    let image = yard.build().unwrap();
    for point in MOUNT_POINTS {
        let path = image.rootfs.join(&point.path[1..]);
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, point.mode, "{}", point.path);
        match point.kind {
            Kind::File => assert!(found.is_file() && found.len() == 0, "{}", point.path),
            Kind::Directory => {
                let below: Vec<_> = fs::read_dir(&path).unwrap().collect();
                let nested =
                    MOUNT_POINTS.iter().filter(|other| Path::new(other.path).parent() == Some(Path::new(point.path)));
                assert_eq!(below.len(), nested.count(), "{} is empty but for mount points", point.path);
            }
        }
    }
    for (path, text) in FIXED_FILES {
        assert_eq!(fs::read_to_string(image.rootfs.join(&path[1..])).unwrap(), *text, "{path}");
    }
}

#[test]
fn the_manifest_tells_what_is_there() {
    let yard = Yard::delivering(small());
    let image = yard.build().unwrap();
    let manifest = image.manifest();
    assert_eq!((manifest.name.as_str(), manifest.recipe), ("gcc", yard.recipe().digest()));
    assert_eq!(manifest.files, 1 + 1 + FIXED_FILES.len() as u64, "the tool, process 1 and the fixed files");
    assert_eq!(manifest.packages.len(), 1);
    assert_eq!(manifest.packages[0].archive_name(), "libc6_1%3a2_amd64.deb");
    assert!(manifest.built_at.ends_with('Z'), "{}", manifest.built_at);
    assert_eq!(image.rootfs.file_name().unwrap(), "rootfs");
    let found = yard.images.find(yard.recipe()).unwrap().unwrap();
    assert_eq!((found.digest, found.manifest()), (image.digest, manifest));
    yard.images.check_quick(&found).unwrap();
    yard.images.verify(&found).unwrap();
    assert!(yard.images.find(yard.recipes.get("java").unwrap()).unwrap().is_none());
}

#[test]
fn every_change_to_a_tree_is_found_and_named() {
    type Change = fn(&Path);
    let cases: [(&str, &str, Change); 8] = [
        ("usr/bin/tool", "has another content", |root| fs::write(root.join("usr/bin/tool"), "#!/bin/sH\n").unwrap()),
        ("usr/bin/tool", "has another size", |root| fs::write(root.join("usr/bin/tool"), "#!/bin/sh\n\n").unwrap()),
        ("usr/bin/tool", "has another mode", |root| {
            fs::set_permissions(root.join("usr/bin/tool"), Permissions::from_mode(0o4755)).unwrap();
        }),
        ("bin", "has another content", |root| {
            fs::remove_file(root.join("bin")).unwrap();
            symlink("usr/sin", root.join("bin")).unwrap();
        }),
        ("bin", "has another type", |root| {
            fs::remove_file(root.join("bin")).unwrap();
            fs::write(root.join("bin"), "usr/bin").unwrap();
        }),
        ("usr/bin/alias", "is missing", |root| fs::remove_file(root.join("usr/bin/alias")).unwrap()),
        ("usr/bin/extra", "was added", |root| fs::write(root.join("usr/bin/extra"), "").unwrap()),
        ("zzz", "was added", |root| fs::create_dir(root.join("zzz")).unwrap()),
    ];
    for (expected_path, expected, change) in cases {
        let yard = Yard::delivering(small());
        let image = yard.build().unwrap();
        change(&image.rootfs);
        match yard.images.verify(&image).unwrap_err() {
            VerifyError::Differs { name, path, difference, .. } => {
                assert_eq!((name.as_str(), path.as_str(), difference), ("gcc", expected_path, expected));
            }
            other => panic!("{expected_path}: {other}"),
        }
        let quick = yard.images.check_quick(&image).unwrap_err();
        assert!(matches!(quick, VerifyError::Touched { .. }), "{expected_path}: {quick}");
    }
}

#[test]
fn a_forged_listing_is_found() {
    let yard = Yard::delivering(small());
    let image = yard.build().unwrap();
    fs::write(image.rootfs.join("usr/bin/tool"), "evil").unwrap();
    let path = image.rootfs.with_file_name(LISTING);
    let listing = fs::read_to_string(&path).unwrap();
    fs::write(&path, listing.replace(&Digest::of(b"#!/bin/sh\n").to_string(), &Digest::of(b"evil").to_string()))
        .unwrap();
    assert!(matches!(yard.images.verify(&image), Err(VerifyError::Listing { .. })));
}

#[test]
fn a_failing_mmdebstrap_is_quoted_and_leaves_nothing() {
    let yard =
        Yard::new(small(), "head -c 700 $here/stream.tar; echo 'I: working' >&2; echo 'E: no such suite' >&2; exit 25");
    let error = yard.build().unwrap_err();
    let message = error.to_string();
    assert!(message.contains("gcc") && message.contains("25") && message.contains("E: no such suite"), "{message}");
    assert_eq!(yard.names(), [""; 0]);
}

#[test]
fn an_archive_that_is_refused_or_incomplete_leaves_nothing() {
    let hostile = Yard::delivering(small().entry("../escape", EntryType::Regular, 0o644, "", b""));
    let error = hostile.build().unwrap_err();
    assert!(matches!(error, BuildError::Unpack { .. }), "{error}");
    let empty = Yard::delivering(Stream::new());
    assert!(matches!(empty.build(), Err(BuildError::NoPackages { .. })));
    let link = Yard::delivering(Stream::new().entry("./code/", EntryType::Directory, 0o755, "", b"").entry(
        "./etc",
        EntryType::Symlink,
        0o777,
        "/etc",
        b"",
    ));
    assert!(matches!(link.build(), Err(BuildError::Unpack { .. })), "our files are not written through a link");
    for yard in [hostile, empty, link] {
        assert_eq!(yard.names(), [""; 0]);
    }
}

#[test]
fn mmdebstrap_missing_says_what_to_install() {
    let yard = Yard::delivering(small());
    let options = BuildOptions { program: "/nonexistent/mmdebstrap".into(), ..yard.options.clone() };
    let message = yard.build_of(yard.recipe(), &options).unwrap_err().to_string();
    assert!(message.contains("install the packages mmdebstrap and uidmap"), "{message}");
}

#[test]
fn root_is_refused() {
    // Seen only where root runs the tests; an ordinary user builds in every other test here.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let yard = Yard::delivering(small());
    let refused = yard.images.build(yard.recipe(), &yard.options, &Silent);
    assert!(matches!(refused, Err(BuildError::AsRoot)));
    assert_eq!(yard.names(), [""; 0]);
}

#[test]
fn leftovers_of_a_dead_build_are_no_image_and_go_at_the_next_build() {
    let yard = Yard::delivering(small());
    let dead = yard.images.dir.join(".building-gcc-dead");
    fs::create_dir_all(dead.join("image/rootfs/usr")).unwrap();
    fs::write(dead.join("image").join(MANIFEST), "{}").unwrap();
    // A tree without a manifest under the very name of the image is none either.
    let at = yard.images.place("gcc", &yard.recipe().digest());
    fs::create_dir_all(at.join(ROOTFS)).unwrap();
    assert!(yard.images.find(yard.recipe()).unwrap().is_none());
    assert!(yard.images.list().unwrap().is_empty());
    let image = yard.build().unwrap();
    assert_eq!(yard.names(), [at.file_name().unwrap().to_str().unwrap()]);
    yard.images.verify(&image).unwrap();
}

#[test]
fn what_is_there_is_not_built_again_unless_asked_or_damaged() {
    let yard = Yard::new(small(), "echo x >> $here/calls; cat $here/stream.tar");
    let calls = || fs::read_to_string(yard.dir.path().join("calls")).unwrap().lines().count();
    drop(yard.build().unwrap());
    drop(yard.build().unwrap());
    assert_eq!(calls(), 1);
    let rebuild = BuildOptions { rebuild: true, ..yard.options.clone() };
    let image = yard.build_of(yard.recipe(), &rebuild).unwrap();
    assert_eq!(calls(), 2);
    assert!(matches!(yard.build_of(yard.recipe(), &rebuild), Err(BuildError::InUse { .. })), "a user holds it");
    yard.images.verify(&image).unwrap();
    fs::write(image.rootfs.with_file_name(MANIFEST), "not json").unwrap();
    drop(image);
    assert!(yard.images.find(yard.recipe()).is_err());
    drop(yard.build().unwrap());
    assert!(yard.images.find(yard.recipe()).unwrap().is_some());
}

#[test]
fn an_older_version_goes_when_nobody_uses_it() {
    let yard = Yard::delivering(small());
    let old = yard.build().unwrap();
    let mut newer = yard.recipe().clone();
    newer.packages.push("make".to_owned());
    drop(yard.build_of(&newer, &yard.options).unwrap());
    assert!(old.rootfs.exists(), "it is in use");
    assert_eq!(yard.images.list().unwrap().len(), 2);
    let gone = old.rootfs.clone();
    drop(old);
    newer.packages.push("gdb".to_owned());
    drop(yard.build_of(&newer, &yard.options).unwrap());
    assert!(!gone.exists());
    assert_eq!(yard.names().len(), 1);
}

#[test]
fn two_builds_take_turns() {
    struct Notify(mpsc::Sender<Event>);
    impl Progress for Notify {
        fn event(&self, _: &str, event: &Event) {
            let _ = self.0.send(event.clone());
        }
    }
    let yard = Yard::delivering(small());
    let held = yard.images.lock(&Silent).unwrap();
    let (sender, events) = mpsc::channel();
    let notify = Notify(sender);
    thread::scope(|scope| {
        let second = scope.spawn(|| yard.images.build_all_as_anyone(&[yard.recipe()], &yard.options, &notify));
        assert_eq!(events.recv().unwrap(), Event::Waiting);
        assert_eq!(yard.names(), [""; 0]);
        drop(held);
        assert_eq!(second.join().unwrap().unwrap().len(), 1);
    });
    assert!(events.try_iter().any(|event| matches!(event, Event::Done { .. })));
}

#[test]
fn mmdebstrap_carries_the_lock_and_works_where_other_ids_can_pass() {
    let held = "[ /proc/self/fd/0 -ef \"$here/images/.lock\" ] || exit 9";
    let near =
        Yard::new(small(), &format!("{held}; case $TMPDIR in $here/images/.building-*) cat $here/stream.tar;; esac"));
    near.build().unwrap();
    let far =
        Yard::new(small(), &format!("{held}; case $TMPDIR in /var/tmp/casemate-image-*) cat $here/stream.tar;; esac"));
    fs::set_permissions(far.dir.path(), Permissions::from_mode(0o700)).unwrap();
    let left = Path::new(cleanup::ELSEWHERE).join(format!("{}dead", cleanup::prefix_elsewhere(&far.images.dir)));
    fs::create_dir_all(left.join("mmdebstrap.x")).unwrap();
    far.build().unwrap();
    assert!(!left.exists(), "a dead build's directory goes, wherever it is");
}

#[test]
fn a_hang_up_that_mmdebstrap_sends_to_its_group_stays_there() {
    // mmdebstrap does that when it cannot write its archive.
    let group = "read -r _ _ _ _ group _ < /proc/$$/stat; [ $group = $$ ] || { echo 'E: shared group' >&2; exit 8; }";
    let yard = Yard::new(small(), &format!("{group}; trap '' HUP; kill -HUP 0; cat $here/stream.tar"));
    yard.build().unwrap();
}

#[test]
fn archives_of_packages_are_kept_and_old_ones_dropped() {
    let script = "for to in \"$@\"; do case $to in *sync-out*) to=${to#*archives \\'}; to=${to%\\'}; \
        for deb in libc6_1%3a2_amd64.deb other_1_all.deb lock; do : > $to/$deb; done;; esac; done; cat $here/stream.tar";
    let yard = Yard::new(small(), script);
    let cache = yard.images.dir.join("cache/debs/trixie/gcc");
    fs::create_dir_all(&cache).unwrap();
    fs::write(cache.join("libc6_1%3a1_amd64.deb"), "").unwrap();
    yard.build().unwrap();
    let kept: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept, ["libc6_1%3a2_amd64.deb"]);
}

#[test]
fn all_are_built_side_by_side_and_every_failure_is_told() {
    let yard =
        Yard::new(small(), "case \"$*\" in *openjdk*) echo 'E: no java' >&2; exit 1;; esac; cat $here/stream.tar");
    let all: Vec<&Recipe> = yard.recipes.iter().collect();
    let errors = yard.images.build_all_as_anyone(&all, &yard.options, &Silent).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("E: no java"));
    let built: Vec<String> = yard.images.list().unwrap().into_iter().map(|image| image.name).collect();
    assert_eq!(built, ["gcc", "python"]);
}
