//! `casemate image` with what was made elsewhere: from an archive to a program that runs in it, and everything that is told
//! of it on the way. What an archive can do to an importer is tested beside that (`src/image/import/`); here it is the
//! real binary, as whoever serves.

use std::fs::{self, File};
use std::io::{PipeReader, Read};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::fcntl::{FcntlArg, fcntl};
use tar::EntryType;
use tempfile::TempDir;

use crate::support::archive::{self, Image, Layer, Packed, architecture};
use crate::support::machine::Place;
use crate::support::table::{Table, row};
use crate::support::{Runtime, Server, Settings, account, command};
use crate::{needs, support::Need, under_both_runtimes};

/// A directory of images of the test's own, and archives beside it.
pub(super) struct Yard {
    pub(super) images: TempDir,
    archives: TempDir,
    pub(super) settings: Settings,
}

impl Yard {
    pub(super) fn new() -> Self {
        Self::under(Runtime::Crun)
    }

    fn under(runtime: Runtime) -> Self {
        let (images, archives) = (account::directory("images"), account::directory("archives"));
        let settings = Settings::new(runtime).set("CASEMATE_IMAGES", images.path().display());
        Self { images, archives, settings }
    }

    /// Writes an archive, readable by whoever runs the tests alone.
    pub(super) fn archive(&self, bytes: &[u8]) -> String {
        let path = self.archives.path().join("archive.tar");
        fs::write(&path, bytes).expect("an archive");
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
        path.display().to_string()
    }

    fn call(&self, arguments: &[&str], input: &[u8]) -> (bool, String, String) {
        let Output { status, stdout, stderr } = command::casemate(&self.settings, arguments, input);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (status.success(), text(stdout), text(stderr))
    }

    pub(super) fn image(&self, arguments: &[&str]) -> (bool, String, String) {
        self.call(&[&["image"], arguments].concat(), b"")
    }

    /// What there is in the directory of images but its lock.
    pub(super) fn there(&self) -> Vec<String> {
        let entries = fs::read_dir(self.images.path()).expect("the images");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.retain(|name| name != ".lock");
        names.sort();
        names
    }

    fn rootfs(&self, name: &str) -> PathBuf {
        let there = self.there();
        let found = there.iter().find(|entry| entry.starts_with(&format!("{name}-"))).expect("the image");
        self.images.path().join(found).join("rootfs")
    }
}

const STATUS: &[u8] = b"Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.31-0ubuntu9\n";

fn example() -> Image {
    let base = Layer::new()
        .directory("etc/")
        .file("etc/passwd", b"root:x:0:0::/root:/bin/bash\n")
        .file("etc/os-release", b"ID=ubuntu\n")
        .entry("usr/bin/tool", EntryType::Regular, 0o4755, "", b"#!/bin/sh\n")
        .hard_link("usr/bin/twin", "usr/bin/tool")
        .link("bin", "usr/bin")
        .entry("opt/pipe", EntryType::Fifo, 0o644, "", b"")
        .file("opt/old", b"old")
        .file("var/lib/dpkg/status", STATUS);
    Image::of([base, Layer::new().file("opt/new", b"new").file("opt/.wh.old", b"")]).packed(Packed::Gzip)
}

#[test]
fn what_is_told_of_an_import_is_what_it_is() {
    needs!(Need::Account);
    if architecture() != "amd64" {
        crate::support::needs::left_out("the golden file is that of an image for amd64");
        return;
    }
    let yard = Yard::new();
    // Not compressed: other versions of a library compress otherwise.
    let path = yard.archive(&example().packed(Packed::Plain).oci().bytes());
    let (fine, first, err) = yard.image(&["import", "hub", &path]);
    assert!(fine, "{err}");
    assert!(err.contains("hub: layer 1 of 2\n") && err.contains("hub: layer 2 of 2\n"), "{err}");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/image-import.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::write(&golden, &first).expect("the golden file");
    }
    let stored = fs::read_to_string(&golden).expect("the golden file");
    assert_eq!(first, stored, "if this is meant: UPDATE_GOLDEN=1 cargo test --test suite image_command");

    let (fine, again, err) = yard.image(&["import", "hub", &path]);
    assert!(fine && err.contains("hub: there already\n"), "{err}");
    assert_eq!(again, first);
}

#[test]
fn an_import_is_listed_verified_and_removed() {
    needs!(Need::Account);
    let yard = Yard::new();
    let bytes = example().docker().bytes();
    // From a pipe, as from another machine, and with the digest that was seen there.
    let id = format!("sha256:{}", archive::sha256(&example().config()));
    let (fine, _, err) = yard.call(&["image", "import", "hub", "-", "--digest", &id], &bytes);
    assert!(fine, "{err}");
    let (fine, listed, err) = yard.image(&["list"]);
    let line = listed.lines().find(|line| line.starts_with("hub ")).unwrap_or_default();
    assert!(fine && line.ends_with("(imported from example:1)"), "{listed}{err}");
    assert!(listed.contains("python     not built"), "{listed}");
    let (fine, sbom, _) = yard.image(&["list", "--sbom", "hub"]);
    let sbom: serde_json::Value = serde_json::from_str(&sbom).expect("JSON");
    assert!(fine && sbom.to_string().contains("pkg:deb/ubuntu/libc6@2.31-0ubuntu9?arch=amd64"), "{sbom}");
    let (fine, verified, _) = yard.image(&["verify", "hub"]);
    assert!(fine && verified.starts_with("hub: as imported, "), "{verified}");
    let root = yard.rootfs("hub");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(root.join("usr/bin/tool")).expect("it").permissions());
    assert_eq!(mode & 0o7777, 0o755);
    assert!(!root.join("opt/old").exists() && !root.join("opt/pipe").exists() && root.join("opt/new").exists());
    assert!(fs::read_to_string(root.join("etc/passwd")).expect("ours").contains("job:x:1000:"));

    for (arguments, expected) in [
        (vec!["remove", "hub", "cobol"], "there is no image \"cobol\"; there are: gcc, hub, java, python"),
        (vec!["verify", "hub"], "there is no image \"hub\"; there are: gcc, java, python"),
        (vec!["list", "--sbom", "hub"], "there is no image \"hub\""),
        (vec!["remove", "hub"], "there is no image \"hub\""),
    ] {
        let (fine, _, err) = yard.image(&arguments);
        assert!(!fine && err.contains(expected), "{arguments:?}: {err}");
        if arguments == ["remove", "hub", "cobol"] {
            // In the order of their names, so that the other is still there.
            let (fine, said, err) = yard.image(&["remove", "hub"]);
            assert!(fine && said == "hub: removed\n", "{said}{err}");
        }
    }
    assert_eq!(yard.there(), [""; 0]);
}

#[test]
fn verify_finds_one_changed_byte() {
    needs!(Need::Account);
    let yard = Yard::new();
    let (fine, _, err) = yard.image(&["import", "hub", &yard.archive(&example().both().bytes())]);
    assert!(fine, "{err}");
    let tool = yard.rootfs("hub").join("usr/bin/tool");
    let file = File::options().read(true).write(true).open(&tool).expect("a file of the image");
    let before = file.metadata().expect("it").modified().expect("its time");
    std::os::unix::fs::FileExt::write_all_at(&file, b"H", 8).expect("one byte");
    // As if nothing had been: the size is the same, and so is the time.
    file.set_modified(before).expect("its time");
    let (fine, out, err) = yard.image(&["verify"]);
    assert!(!fine && out.is_empty(), "{out}");
    assert!(err.contains("the image hub differs from what was made: \"usr/bin/tool\" has another content"), "{err}");
    assert!(err.contains("image import hub ARCHIVE` makes it anew"), "{err}");
    let (fine, _, err) = yard.image(&["import", "hub", &yard.archive(&example().both().bytes())]);
    assert!(fine, "{err}");
    let (fine, out, err) = yard.image(&["verify"]);
    assert!(fine && out.starts_with("hub: as imported"), "{out}{err}");
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    needs!(Need::Account);
    let yard = Yard::new();
    let outside = account::directory("outside");
    let way = outside.path().display().to_string();
    let up = format!("{}{way}", "../".repeat(40));
    let image = |layer: Layer| Image::of([layer]).docker();
    let mut changed = example().oci();
    let last = changed.0[1].1.len() - 1;
    changed.0[1].1[last] ^= 1;
    let bomb = Image::of([Layer::new().file("zeros", &vec![0; 96 << 20])]).packed(Packed::Gzip);
    let mut twice = image(Layer::new().file("f", b""));
    let again = twice.0.iter().find(|(name, _)| name == "manifest.json").expect("it").clone();
    twice.0.push(again);
    for (bytes, expected) in [
        (image(Layer::new().file(&format!("{way}/x"), b"")).bytes(), "absolute paths are not taken"),
        (image(Layer::new().file("../../x", b"")).bytes(), "`..` is not taken"),
        (image(Layer::new().link("way", &up).file("way/x", b"")).bytes(), "leads out of the image"),
        (image(Layer::new().hard_link("x", "../../etc/shadow")).bytes(), "`..` is not taken"),
        (
            image(Layer::new().entry("v", EntryType::new(b'V'), 0, "", b"")).bytes(),
            "no layer has an entry of this type",
        ),
        (changed.bytes(), "the archive was changed or is damaged"),
        (bomb.docker().bytes(), "grows more than 200-fold"),
        (twice.bytes(), "in the archive twice"),
        (Layer::new().file("etc/passwd", b"").bytes(), "it is a root file system, as of `docker export`"),
        (b"not an archive, but long enough to be one".repeat(40), "cannot read the archive as one that holds an image"),
        (Vec::new(), "has neither index.json"),
    ] {
        let (fine, out, err) = yard.image(&["import", "hub", &yard.archive(&bytes)]);
        assert!(!fine && out.is_empty() && err.contains(expected), "{expected}: {err}");
        assert!(err.len() < 2000, "a name must not flood the terminal: {err}");
        assert_eq!(yard.there(), [""; 0], "{expected}");
    }
    let path = yard.archive(&example().docker().bytes());
    for (arguments, expected) in [
        (vec!["import", "python", &path], "\"python\" is the name of a recipe"),
        (vec!["import", "Hub", &path], "use at most 32 lower-case letters"),
        (vec!["import", "hub", "/no/such/archive"], "the archive /no/such/archive cannot be opened"),
        (vec!["import", "hub", &path, "--digest", "sha256:12"], "is no digest"),
        (vec!["import", "hub", &path, "--image", "other"], "no image \"other\"; it has example:1"),
    ] {
        let (fine, _, err) = yard.image(&arguments);
        assert!(!fine && err.contains(expected), "{expected}: {err}");
    }
    let nothing = archive::sha256(b"nothing");
    let (fine, _, err) = yard.image(&["import", "hub", &path, "--digest", &nothing]);
    assert!(!fine && err.contains(&format!("nothing here has the digest sha256:{nothing}")), "{err}");
    assert_eq!(yard.there(), [""; 0]);
    assert_eq!(fs::read_dir(outside.path()).expect("outside").count(), 0);
}

/// Reads lines as they come and not a byte more, so that the writer stops where nobody reads on.
fn read_until(from: &mut PipeReader, line: &str) {
    let (mut seen, mut byte) = (String::new(), [0]);
    while !seen.ends_with(line) {
        assert_eq!(from.read(&mut byte).expect("a pipe"), 1, "it ended too early: {seen}");
        seen.push(char::from(byte[0]));
    }
}

#[test]
fn an_import_that_is_killed_leaves_no_image_and_the_next_clears_up() {
    needs!(Need::Account);
    let yard = Yard::new();
    // What it says of its layers is more than the pipe takes, so that it comes to a halt in the middle, every time.
    let name = "n".repeat(32);
    let layers = (0..120).map(|n| Layer::new().file(&format!("file-{n}"), b"content"));
    let archive = Image::of(layers).docker().bytes();
    let path = yard.archive(&archive);
    let (mut from, to) = std::io::pipe().expect("a pipe");
    fcntl(&to, FcntlArg::F_SETPIPE_SZ(4096)).expect("a small pipe");
    let (place, home) = (Place::shared(), account::directory("home"));
    let mut import = yard.settings.command(home.path());
    let mut child = import
        .args(["image", "import", &name, &path])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(to)
        .spawn()
        .expect("the binary");
    // The command holds the writing end too.
    drop(import);
    read_until(&mut from, "layer 10 of 120\n");
    child.kill().expect("kill -9");
    child.wait().expect("its end");
    drop(place);
    let left = yard.there();
    assert!(matches!(&left[..], [one] if one.starts_with(".building-")), "{left:?}");
    let (fine, listed, _) = yard.image(&["list"]);
    assert!(fine && !listed.contains(&name), "{listed}");
    let (fine, _, err) = yard.image(&["import", &name, &path]);
    assert!(fine, "{err}");
    assert!(matches!(&yard.there()[..], [one] if one.starts_with(&name)), "{:?}", yard.there());
    let (fine, _, err) = yard.image(&["verify", &name]);
    assert!(fine, "{err}");
}

pub(super) fn run(program: &str, arguments: &[&str], at: &Path) {
    let said = Command::new(program).args(arguments).current_dir(at).env("HOME", at).output().expect("a tool");
    assert!(said.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn what_umoci_and_skopeo_make_is_taken_in_every_form() {
    needs!(Need::Account, Need::ImageTools);
    let tools = tempfile::tempdir().expect("a directory");
    let at = tools.path();
    run("umoci", &["init", "--layout", "layout"], at);
    run("umoci", &["new", "--image", "layout:one"], at);
    run("umoci", &["unpack", "--rootless", "--image", "layout:one", "bundle"], at);
    let long = format!("{}/{}", "long-name-".repeat(12), "other-name-".repeat(12));
    let script = format!(
        "mkdir -p usr/bin d '{}' && echo tool >usr/bin/tool && chmod 4755 usr/bin/tool && ln usr/bin/tool usr/bin/twin &&
         ln -s usr/bin bin && echo a >d/gone && echo b >d/kept && echo c >'{long}' && truncate -s 1M d/holes",
        long.split('/').next().unwrap_or_default()
    );
    run("sh", &["-ec", &script], &at.join("bundle/rootfs"));
    run("umoci", &["repack", "--refresh-bundle", "--image", "layout:one", "bundle"], at);
    run("sh", &["-ec", "rm d/gone && echo d >d/new && rm usr/bin/twin"], &at.join("bundle/rootfs"));
    run("umoci", &["repack", "--image", "layout:one", "bundle"], at);
    run("umoci", &["config", "--image", "layout:one", "--config.env", "TOOL_VERSION=1.2", "--config.cmd", "tool"], at);
    run("tar", &["-C", "layout", "-cf", "layout.tar", "."], at);
    let copy = |to: &[&str]| run("skopeo", &[&["--insecure-policy", "copy", "oci:layout:one"], to].concat(), at);
    copy(&["docker-archive:docker.tar:example/tool:1"]);
    copy(&["oci-archive:oci.tar:one"]);
    copy(&["--dest-compress", "--dest-compress-format", "zstd", "oci:zstd:one"]);
    run("tar", &["--zstd", "-C", "zstd", "-cf", "zstd.tar.zst", "."], at);
    run("sh", &["-ec", "gzip -k docker.tar"], at);
    let yard = Yard::new();
    let mut trees = Vec::new();
    for (archive, name) in [
        ("layout.tar", "one"),
        ("docker.tar", "example/tool:1"),
        ("docker.tar.gz", "example/tool:1"),
        ("oci.tar", "one"),
        ("zstd.tar.zst", "one"),
    ] {
        let path = at.join(archive).display().to_string();
        let (fine, said, err) = yard.image(&["import", "tool", &path]);
        assert!(fine, "{archive}: {err}");
        let first = said.lines().next().unwrap_or_default();
        assert_eq!(
            first.rsplit_once(", ").map_or(first, |(first, _)| first),
            format!("tool: imported from {}", {
                if name.contains('/') { format!("docker.io/{name}") } else { name.to_owned() }
            })
        );
        assert!(
            said.contains(" of 2 layers; 0 packages\n") && !said.contains("set-id bits of 0,"),
            "{archive}: {said}"
        );
        assert!(said.contains("  asks for   TOOL_VERSION=1.2\n") && said.contains("  starts     tool\n"), "{said}");
        trees.push(said.lines().find(|line| line.starts_with("  tree ")).expect("the tree").to_owned());
        let root = yard.rootfs("tool");
        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        assert_eq!((text("d/gone"), text("d/kept"), text("d/new")), (None, Some("b\n".into()), Some("d\n".into())));
        assert_eq!((text("usr/bin/tool"), text("usr/bin/twin")), (Some("tool\n".into()), None), "{archive}");
        assert_eq!(text(&long), Some("c\n".into()), "{archive}");
        assert_eq!(fs::metadata(root.join("d/holes")).expect("it").len(), 1 << 20);
        let (fine, _, err) = yard.image(&["remove", "tool"]);
        assert!(fine, "{err}");
    }
    assert!(trees.iter().all(|tree| *tree == trees[0]), "{trees:?}");
}

/// The image of Python that set-up built, as an archive of `docker save` of two layers.
fn python() -> Vec<u8> {
    let images = fs::read_dir(account::images()).expect("the images");
    let python = images.map(|entry| entry.expect("an image").path());
    let python =
        python.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python-")));
    let rootfs = python.max().expect("the image of Python").join("rootfs");
    let base = Layer::new().tree(&rootfs).file("opt/marker", b"below").file("opt/gone", b"");
    let top = Layer::new()
        .file("opt/marker", b"above")
        .file("opt/.wh.gone", b"")
        .entry("opt/su", EntryType::Regular, 0o6755, "", b"#!/bin/sh\n")
        .entry("opt/disk", EntryType::Block, 0o666, "", b"");
    Image::of([base, top]).named("python:3.9").docker().bytes()
}

const SURROUNDINGS: &str = r"
import os, sys
print(sys.version_info[:2])
print(open('/opt/marker').read(), os.listdir('/opt'), oct(os.stat('/opt/su').st_mode & 0o7777))
print([line.split(':')[0] for line in open('/etc/passwd')])
for path in ['/opt/new', '/usr/bin/python3', '/code/new']:
    try:
        open(path, 'w')
    except OSError as error:
        print(path, error.strerror)
open('/tmp/new', 'w')
";

/// From an archive to a program that runs in it: import, a language file that names the image, and a start.
fn a_language_runs_in_what_was_imported(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let yard = Yard::under(runtime);
    for entry in fs::read_dir(account::images()).expect("the images") {
        let path = entry.expect("an image").path();
        if path.join("manifest.json").exists() {
            symlink(&path, yard.images.path().join(path.file_name().expect("a name"))).expect("a link");
        }
    }
    let settings = account::directory("settings");
    let languages = settings.path().join("languages");
    fs::create_dir(&languages).expect("a directory");
    account::give(&languages);
    let file = languages.join("hub.toml");
    fs::write(&file, "image = \"hub\"\nsource = \"s.py\"\n[run]\nargv = [\"/usr/bin/python3\", \"/code/s.py\"]\n")
        .expect("a language file");
    account::give(&file);
    let with_language = yard.settings.clone().set("CASEMATE_SETTINGS", settings.path().display());

    let failed = Server::try_start(&with_language, Place::shared()).expect_err("an image that is not there");
    let expected = "language hub names image hub, which was not imported and has no recipe";
    assert!(failed.log.contains(expected), "{}", failed.log);
    let told = command::casemate(&with_language, &["doctor", "--quick"], b"");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains(expected) && told.contains("image import hub ARCHIVE"), "{told}");

    let (fine, _, err) = yard.image(&["import", "hub", &yard.archive(&python())]);
    assert!(fine, "{err}");
    let told = command::casemate(&with_language, &["doctor", "--quick"], b"");
    assert!(String::from_utf8_lossy(&told.stdout).contains("ok      image hub"), "{told:?}");
    let server = Server::start(&with_language);
    let surroundings = "(3, 9)\nabove ['marker', 'su'] 0o755\n['root', 'job', 'nobody']\n\
                        /opt/new Read-only file system\n/usr/bin/python3 Read-only file system\n\
                        /code/new Read-only file system\n";
    Table::of([
        row("hello", "hub", "print('hello')").completes("hello\n"),
        row("input", "hub", "print(sum(map(int, input().split())))").input("40 2\n").completes("42\n"),
        row("what there is", "hub", SURROUNDINGS).completes(surroundings),
        row("the others are still there", "python", "print('python')").completes("python\n"),
    ])
    .run(&server);

    let (fine, _, err) = yard.image(&["remove", "hub"]);
    assert!(!fine && err.contains("the image hub is in use: stop the server that uses it"), "{err}");
    drop(server);
    let (fine, _, err) = yard.image(&["remove", "hub"]);
    assert!(fine, "{err}");
}

under_both_runtimes!(a_language_runs_in_what_was_imported);
