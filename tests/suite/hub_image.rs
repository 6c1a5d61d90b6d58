//! An image as those of public registries are, made with public tools and saved in both forms of `docker save`: layers over one
//! another, merged `/usr`, the interpreter below `/usr/local` where Debian has none, an environment and an entry point. A
//! language names it and the command in it, and programs run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::image_command::{Yard, run};
use crate::support::table::{Table, row};
use crate::support::{Runtime, Server, account};
use crate::{needs, support::Need};

/// The image of Python that set-up built.
fn debian() -> PathBuf {
    let images = fs::read_dir(account::images()).expect("the images").map(|entry| entry.expect("an image").path());
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python-"));
    images.filter(named).max().expect("the image of Python").join("rootfs")
}

/// What stands in the first layer: Debian with a merged `/usr`. `$1` is the image that it is made of.
const BASE: &str = r#"
mkdir usr
cp -a --no-preserve=ownership "$1/usr/bin" "$1/usr/sbin" "$1/usr/lib" usr/
cp -a --no-preserve=ownership "$1/etc" "$1/var" .
for at in bin sbin lib lib64; do
    mkdir -p usr/$at
    cp -a --no-preserve=ownership --remove-destination "$1/$at/." usr/$at/
    ln -s usr/$at $at
done
mkdir -p opt tmp root
echo below >opt/marker
echo x >opt/gone
"#;

/// In the second: the interpreter where `python:3.9` has it, and none where Debian has it.
const INTERPRETER: &str = r"
mkdir -p usr/local/bin usr/local/lib
mv usr/bin/python3.9 usr/local/bin/
mv usr/lib/python3.9 usr/local/lib/
rm usr/bin/python3
ln -s python3.9 usr/local/bin/python3
ln -s python3 usr/local/bin/python
";

/// In the third: what somebody adds in a Dockerfile.
const APPLICATION: &str = r"
rm opt/gone
echo above >opt/marker
mkdir -p app
echo 'answer = 42' >usr/local/lib/python3.9/course.py
printf '#!/bin/sh\nexec \x22$@\x22\n' >usr/local/bin/entry.sh
chmod 755 usr/local/bin/entry.sh
";

/// As `docker save` since version 25 writes it: the layout, and beside it what the older form has, about the same blobs.
fn with_manifest(layout: &Path) {
    let read = |path: PathBuf| -> Value { serde_json::from_slice(&fs::read(path).expect("a document")).expect("JSON") };
    let blob =
        |digest: &Value| format!("blobs/sha256/{}", digest.as_str().expect("a digest").trim_start_matches("sha256:"));
    let mut index = read(layout.join("index.json"));
    let manifest = read(layout.join(blob(&index["manifests"][0]["digest"])));
    let layers: Vec<String> =
        manifest["layers"].as_array().expect("layers").iter().map(|layer| blob(&layer["digest"])).collect();
    let old = json!([{"Config": blob(&manifest["config"]["digest"]), "RepoTags": ["python:3.9"], "Layers": layers}]);
    fs::write(layout.join("manifest.json"), old.to_string()).expect("the older manifest");
    index["manifests"][0]["annotations"] =
        json!({"io.containerd.image.name": "docker.io/library/python:3.9", "org.opencontainers.image.ref.name": "3.9"});
    fs::write(layout.join("index.json"), index.to_string()).expect("the index");
}

/// Both archives, by the name of the form.
fn archives(at: &Path) -> [(&'static str, PathBuf); 2] {
    let layer = |script: &str| {
        run("sh", &["-ec", script, "sh", &debian().display().to_string()], &at.join("bundle/rootfs"));
        run("umoci", &["repack", "--refresh-bundle", "--image", "layout:one", "bundle"], at);
    };
    run("umoci", &["init", "--layout", "layout"], at);
    run("umoci", &["new", "--image", "layout:one"], at);
    run("umoci", &["unpack", "--rootless", "--image", "layout:one", "bundle"], at);
    [BASE, INTERPRETER, APPLICATION].into_iter().for_each(layer);
    let config = [
        "--config.env=PATH=/usr/local/bin:/usr/bin:/bin",
        "--config.env=PYTHON_VERSION=3.9.2",
        "--config.entrypoint=entry.sh",
        "--config.cmd=python3",
        "--config.workingdir=/app",
        "--config.user=daemon",
    ];
    run("umoci", &[&["config", "--image", "layout:one"], &config[..]].concat(), at);
    run("skopeo", &["--insecure-policy", "copy", "oci:layout:one", "docker-archive:old.tar:python:3.9"], at);
    run("skopeo", &["--insecure-policy", "copy", "oci:layout:one", "oci:new"], at);
    with_manifest(&at.join("new"));
    run("tar", &["-C", "new", "-cf", "new.tar", "."], at);
    [("before 25", at.join("old.tar")), ("since 25", at.join("new.tar"))]
}

const PROGRAM: &str = r"
import course, os, sys
print(sys.executable, sys.prefix, sys.version_info[:2], course.answer)
print(os.readlink('/bin'), os.path.exists('/usr/bin/python3'), open('/opt/marker').read().strip(), os.listdir('/opt'))
print(os.environ.get('PYTHON_VERSION'), os.environ['COURSE'], os.getcwd(), os.getuid())
";

#[test]
fn programs_run_in_an_image_as_registries_have_them() {
    needs!(Need::Sandbox(Runtime::Crun), Need::ImageTools);
    let tools = tempfile::tempdir().expect("a directory");
    let yard = Yard::new();
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
    let language = "image = \"hub\"\nsource = \"s.py\"\n[run]\nargv = [\"/usr/local/bin/python\", \"-B\", \"/code/s.py\"]\n\
                    env = { COURSE = \"1\" }\n";
    fs::write(&file, language).expect("a language file");
    account::give(&file);
    let with_language = yard.settings.clone().set("CASEMATE_SETTINGS", settings.path().display());

    let mut trees = Vec::new();
    for (form, archive) in archives(tools.path()) {
        let bytes = fs::read(archive).expect("the archive");
        let (fine, said, err) = yard.image(&["import", "hub", &yard.archive(&bytes)]);
        assert!(fine, "{form}: {err}");
        assert!(said.starts_with("hub: imported from ") && said.contains("python:3.9"), "{form}: {said}");
        assert!(said.contains(" of 3 layers; "), "{form}: {said}");
        for line in ["asks for   PATH=/usr/local/bin:/usr/bin:/bin", "asks for   PYTHON_VERSION=3.9.2"] {
            assert!(said.contains(line), "{form}: {said}");
        }
        assert!(said.contains("  starts     entry.sh python3\n"), "{form}: {said}");
        trees.push(said.lines().find(|line| line.starts_with("  tree ")).expect("the tree").to_owned());

        let server = Server::start(&with_language);
        Table::of([
            row(form, "hub", "print(sum(map(int, input().split())))").input("40 2\n").completes("42\n"),
            row("what there is", "hub", PROGRAM).completes(
                "/usr/local/bin/python /usr/local (3, 9) 42\nusr/bin False above ['marker']\nNone 1 /code 1000\n",
            ),
            row("an error", "hub", "import nothing").check(|seen| {
                let fits = seen.state() == "failed" && seen.output().contains("No module named 'nothing'");
                if fits { Ok(()) } else { Err(seen.output().to_owned()) }
            }),
            row("the others are still there", "python", "print('python')").completes("python\n"),
        ])
        .run(&server);
        drop(server);
        let (fine, _, err) = yard.image(&["verify", "hub"]);
        assert!(fine, "{form}: {err}");
        let (fine, _, err) = yard.image(&["remove", "hub"]);
        assert!(fine, "{form}: {err}");
    }
    assert_eq!(trees[0], trees[1]);
}
