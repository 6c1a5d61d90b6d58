//! Whole imports: what lies in the directory of images afterwards, and what does not.

// The generator of archives is the suites' too.
#[path = "../../../tests/support/archive.rs"]
#[allow(dead_code, reason = "each user has its part of it")]
pub(crate) mod archive;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::image::error::VerifyError;
use crate::image::progress::Silent;
use crate::image::recipe::Recipes;
use crate::image::sbom::spdx;
use archive::{Archive, Layer, Packed, sha256};

const STATUS: &[u8] = b"Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.31-0ubuntu9\n";

fn layers() -> [Layer; 2] {
    let base = Layer::new()
        .directory("etc/")
        .file("etc/passwd", b"root:x:0:0::/root:/bin/bash\n")
        .file("etc/os-release", b"NAME=Ubuntu\nID=ubuntu\n")
        .program("usr/bin/tool", b"#!/bin/sh\n")
        .link("bin", "usr/bin")
        .file("var/lib/dpkg/status", STATUS)
        .link("tmp", "/somewhere/else");
    [base, Layer::new().file("opt/new", b"new").file("opt/.wh.old", b"")]
}

fn example() -> archive::Image {
    archive::Image::of(layers())
}

struct Yard {
    dir: TempDir,
    images: Images,
}

impl Yard {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let images = Images::open(&dir.path().join("images")).unwrap();
        Self { dir, images }
    }

    fn import(&self, archive: &Archive, import: &Import) -> Result<Image, String> {
        self.import_bytes(&archive.bytes(), import, Bounds::IN_FORCE)
    }

    fn import_bytes(&self, bytes: &[u8], import: &Import, bounds: Bounds) -> Result<Image, String> {
        let path = self.dir.path().join("archive.tar");
        File::create(&path).unwrap().write_all(bytes).unwrap();
        let imported = self.images.import_within(File::open(&path).unwrap(), import, &Silent, bounds);
        imported.map_err(|error| {
            let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
            causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
        })
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.images.dir).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != ".lock");
        names.sort();
        names
    }
}

fn hub() -> Import {
    Import { name: "hub".to_owned(), ..Import::default() }
}

#[test]
fn an_import_is_an_image_like_those_that_are_built() {
    let yard = Yard::new();
    let image = yard.import(&example().docker(), &hub()).unwrap();
    for point in MOUNT_POINTS {
        let found = fs::symlink_metadata(image.rootfs.join(&point.path[1..])).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, point.mode, "{}", point.path);
        assert!(!found.is_symlink(), "{}", point.path);
    }
    for (path, text) in FIXED_FILES {
        assert_eq!(fs::read_to_string(image.rootfs.join(&path[1..])).unwrap(), *text, "{path}");
    }
    yard.images.check_quick(&image).unwrap();
    yard.images.verify(&image).unwrap();
    let recipes = Recipes::load(None).unwrap();
    let found = yard.images.named("hub", &recipes).unwrap().unwrap();
    assert_eq!(found.manifest(), image.manifest());
    assert!(yard.images.named("python", &recipes).unwrap().is_none(), "a recipe that was not built");
    assert!(yard.images.named("hob", &recipes).unwrap().is_none());
    assert_eq!(yard.images.imports().unwrap(), ["hub"]);
    let source = image.manifest().source.as_ref().unwrap();
    assert_eq!(source.id.to_string(), sha256(&example().config()));
    assert_eq!((source.name.as_deref(), source.layers.len()), (Some("example:1"), 2));
    assert_eq!(source.command, ["tool", "-v"]);
    assert_eq!((source.dropped.left_out, source.ecosystem.as_deref()), (2, Some("deb/ubuntu")));
    let packages = image.manifest().packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect::<Vec<_>>();
    assert_eq!(packages, ["libc6 2.31-0ubuntu9"]);
}

#[test]
fn every_form_and_compression_gives_the_same_tree() {
    let mut trees = Vec::new();
    for packed in [Packed::Plain, Packed::Gzip, Packed::Zstd] {
        let image = example().packed(packed);
        for archive in [image.docker(), image.oci(), image.both()] {
            for outer in [Packed::Plain, Packed::Gzip, Packed::Zstd] {
                let yard = Yard::new();
                let imported = yard.import_bytes(&outer.pack(&archive.bytes()), &hub(), Bounds::IN_FORCE).unwrap();
                trees.push(imported.digest);
            }
        }
    }
    assert_eq!(trees.len(), 27);
    assert!(trees.iter().all(|tree| *tree == trees[0]), "{trees:?}");
}

#[test]
fn the_digest_that_is_given_is_the_archive_s_an_index_s_the_manifest_s_or_the_image_s() {
    let archive = example().oci();
    let yard = Yard::new();
    let image = yard.import(&archive, &hub()).unwrap();
    let source = image.manifest().source.clone().unwrap();
    let archived: Digest = sha256(&archive.bytes()).parse().unwrap();
    for digest in [archived, source.archive, source.manifest.unwrap(), source.id] {
        yard.import(&archive, &Import { digest: Some(digest), ..hub() }).unwrap();
    }
    let error = yard.import(&archive, &Import { digest: Some(image.digest), ..hub() }).unwrap_err();
    assert!(error.starts_with(&format!("nothing here has the digest sha256:{}", image.digest)), "{error}");
    assert!(error.contains(&archived.to_string()) && error.contains(&source.id.to_string()), "{error}");
}

#[test]
fn one_changed_byte_of_an_archive_is_found_wherever_it_is() {
    for image in [example(), example().packed(Packed::Gzip), example().packed(Packed::Zstd)] {
        for archive in [image.docker(), image.oci()] {
            let layer = archive.0.iter().position(|(name, _)| name.ends_with("layer.tar"));
            // Of an OCI layout the first blob after the configuration.
            let at = layer.unwrap_or(1);
            let bytes = archive.0[at].1.len();
            for byte in [0, bytes / 3, bytes / 2, bytes - 1] {
                let mut changed = archive.clone();
                changed.0[at].1[byte] ^= 1;
                let yard = Yard::new();
                let error = yard.import(&changed, &hub()).unwrap_err();
                let told = ["was changed or is damaged", "cannot unpack layer 1 of 2"];
                assert!(told.iter().any(|told| error.contains(told)), "byte {byte}: {error}");
                assert_eq!(yard.names(), [""; 0], "byte {byte}");
            }
        }
    }
}

#[test]
fn what_is_refused_leaves_nothing_and_what_is_there_stays() {
    let yard = Yard::new();
    let before = yard.import(&example().docker(), &hub()).unwrap();
    let [base, _] = layers();
    let bounds = Bounds { bytes: 10, ..Bounds::IN_FORCE };
    for (layer, bounds, expected) in [
        (Layer::new().file("../escape", b""), Bounds::IN_FORCE, "cannot unpack layer 2 of 2: refused the path"),
        (Layer::new().file("more", &[1; 100]), bounds, "more than 10 bytes"),
        (Layer::new().file(".wh.etc", b"").link("etc", "/etc"), Bounds::IN_FORCE, "cannot make an image of what"),
    ] {
        let archive = archive::Image::of([base.clone(), layer]).docker();
        let error = yard.import_bytes(&archive.bytes(), &hub(), bounds).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    for name in ["", "Hub", "../hub", "a/b", ".building", &"n".repeat(33)] {
        let error = yard.import(&example().docker(), &Import { name: name.to_owned(), ..hub() }).unwrap_err();
        assert!(error.contains("use at most 32 lower-case letters"), "{error}");
    }
    let error = yard.import(&example().docker(), &Import { leave_out: vec!["usr".to_owned()], ..hub() }).unwrap_err();
    assert!(error.contains("--leave-out is \"usr\""), "{error}");
    assert_eq!(yard.names().len(), 1);
    yard.images.verify(&before).unwrap();
}

#[test]
fn the_same_again_is_there_already_and_a_damaged_one_is_made_anew() {
    let yard = Yard::new();
    let archive = example().docker();
    let first = yard.import(&archive, &hub()).unwrap();
    let inode = |image: &Image| std::os::unix::fs::MetadataExt::ino(&fs::metadata(&image.rootfs).unwrap());
    let there = inode(&first);
    assert_eq!(inode(&yard.import(&archive, &hub()).unwrap()), there);

    // One byte, with size and time as they were: what is cheap to look at does not see it, reading everything does.
    let tool = first.rootfs.join("usr/bin/tool");
    let before = fs::metadata(&tool).unwrap().modified().unwrap();
    fs::write(&tool, "#!/bin/sH\n").unwrap();
    File::options().write(true).open(&tool).unwrap().set_modified(before).unwrap();
    yard.images.check_quick(&first).unwrap();
    let found = yard.images.verify(&first).unwrap_err();
    assert!(matches!(&found, VerifyError::Differs { path, .. } if path == "usr/bin/tool"), "{found}");
    assert!(found.to_string().contains("`casemate image import hub ARCHIVE` makes it anew"), "{found}");

    let error = yard.import(&archive, &hub()).unwrap_err();
    assert!(error.contains("in use"), "{error}");
    drop(first);
    let again = yard.import(&archive, &hub()).unwrap();
    assert_ne!(inode(&again), there);
    yard.images.verify(&again).unwrap();
}

#[test]
fn a_later_import_takes_the_place_of_an_earlier_one_that_may_still_be_in_use() {
    let yard = Yard::new();
    let recipes = Recipes::load(None).unwrap();
    let other = archive::Image::of([Layer::new().file("other", b"other")]).docker();
    let first = yard.import(&example().docker(), &hub()).unwrap();
    let second = yard.import(&other, &hub()).unwrap();
    assert_eq!(yard.names().len(), 2, "the first is in use");
    yard.images.verify(&first).unwrap();
    let meant = || yard.images.named("hub", &recipes).unwrap().unwrap().digest;
    assert_eq!(meant(), second.digest);
    // Back again, while both are there.
    drop(yard.import(&example().docker(), &hub()).unwrap());
    assert_eq!(meant(), first.digest);
    drop(second);
    yard.import(&example().docker(), &hub()).unwrap();
    assert_eq!((yard.names().len(), meant()), (1, first.digest));

    let error = yard.images.remove("hub", &Silent).unwrap_err();
    assert!(error.to_string().contains("the image hub is in use"), "{error}");
    drop(first);
    assert_eq!(yard.images.remove("hub", &Silent).unwrap(), 1);
    assert_eq!((yard.images.remove("hub", &Silent).unwrap(), yard.names().len()), (0, 0));
}

#[test]
fn what_is_left_out_by_request_makes_another_image() {
    let yard = Yard::new();
    let whole = yard.import(&example().docker(), &hub()).unwrap();
    let import = Import { leave_out: vec!["/opt".to_owned(), "/usr/bin/to*".to_owned()], ..hub() };
    let part = yard.import(&example().docker(), &import).unwrap();
    assert!(whole.rootfs.join("opt/new").exists() && !part.rootfs.join("opt").exists());
    assert!(!part.rootfs.join("usr/bin/tool").exists());
    assert_ne!(whole.manifest().recipe, part.manifest().recipe);
    assert_eq!(part.manifest().source.as_ref().unwrap().left_out, import.leave_out);
}

#[test]
fn the_list_of_packages_is_of_the_distribution_and_has_what_no_package_brought() {
    let yard = Yard::new();
    let document = spdx(&yard.import(&example().docker(), &hub()).unwrap());
    let packages = document["packages"].as_array().unwrap();
    let named = |name: &str| packages.iter().find(|package| package["name"] == name).unwrap();
    let url = &named("libc6")["externalRefs"][0]["referenceLocator"];
    assert_eq!(url, "pkg:deb/ubuntu/libc6@2.31-0ubuntu9?arch=amd64");
    assert_eq!(named("libc6")["supplier"], "Organization: ubuntu");
    assert_eq!(named("example")["versionInfo"], "1.2.3");
    let origin = named("casemate-hub")["comment"].as_str().unwrap();
    assert!(origin.starts_with("imported from example:1 (linux/"), "{origin}");

    let apk = Layer::new()
        .file("lib/apk/db/installed", b"P:musl\nV:1.2.5-r0\nA:x86_64\n\n")
        .file("usr/lib/os-release", b"ID=alpine\n");
    let apart = Layer::new()
        .file("var/lib/dpkg/status.d/libc6", b"Package: libc6\nVersion: 2.36\nArchitecture: amd64\n")
        .file("var/lib/dpkg/status.d/libc6.md5sums", b"Package: no\n")
        .file("usr/lib/os-release", b"ID=debian\n");
    for (layer, expected) in
        [(apk, "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64"), (apart, "pkg:deb/debian/libc6@2.36?arch=amd64")]
    {
        let document = spdx(&yard.import(&archive::Image::of([layer]).docker(), &hub()).unwrap());
        let text = document.to_string();
        assert!(text.contains(expected), "{text}");
    }
    // An image from scratch has none, and is one all the same.
    let image = yard.import(&archive::Image::of([Layer::new().program("tool", b"x")]).docker(), &hub()).unwrap();
    assert!(image.manifest().packages.is_empty());
}

#[test]
fn what_a_dead_import_left_goes_with_the_next() {
    let yard = Yard::new();
    fs::create_dir_all(yard.images.dir.join(".building-hub-dead/image/rootfs/usr")).unwrap();
    fs::write(yard.images.dir.join(".building-hub-dead/image/rootfs/usr/x"), "x").unwrap();
    assert!(yard.images.imports().unwrap().is_empty());
    yard.import(&example().docker(), &hub()).unwrap();
    assert_eq!(yard.names().len(), 1);
}
