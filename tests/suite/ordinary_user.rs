//! The commands that look and change nothing work for anybody, without a service: here for `nobody`, whose home does not
//! exist.

use std::os::unix::process::CommandExt;
use std::process::Output;

use crate::needs;
use crate::support::{Need, Runtime, Settings, account};

/// Runs the binary as `nobody`, with these arguments.
fn as_nobody(arguments: &[&str]) -> Output {
    let nobody = nix::unistd::User::from_name("nobody").expect("the accounts").expect("nobody");
    let home = account::directory("nobody");
    let mut command = Settings::new(Runtime::Crun).command(home.path());
    command.env_remove("HOME").args(arguments);
    if account::is_root() {
        command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    }
    command.output().expect("the binary")
}

#[test]
fn whoever_asks_is_told() {
    needs!(Need::Runtime(Runtime::Crun));
    for arguments in [
        &["bundle", "java"][..],
        &["bundle", "c", "--explain"],
        &["bundle", "c", "--diff", "docker-default"],
        &["seccomp", "list"],
        &["seccomp", "explain", "bpf"],
        &["seccomp", "simulate", "run", "read"],
        &["config"],
    ] {
        let said = as_nobody(arguments);
        assert!(said.status.success() && said.stdout.len() > 20, "{arguments:?}: {said:?}");
    }
    // He has no subordinate ids: that is what he is told, and nothing that is not so.
    let said = as_nobody(&["doctor"]);
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    if account::is_root() {
        assert!(!said.status.success() && text.contains("missing subordinate ids: nobody has no range"), "{said:?}");
    }
    assert!(text.contains("casemate can"), "{said:?}");
}

#[test]
fn the_packages_of_an_image_are_listed() {
    needs!(Need::Images);
    let said = as_nobody(&["image", "list", "--sbom", "python"]);
    assert!(said.status.success(), "{said:?}");
    let document: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    assert_eq!((&document["spdxVersion"], &document["dataLicense"]), (&"SPDX-2.3".into(), &"CC0-1.0".into()));
    let packages = document["packages"].as_array().expect("packages");
    let named = |name: &str| packages.iter().find(|package| package["name"] == name);
    let python = named("python3.9-minimal").expect("the interpreter");
    let url = python["externalRefs"][0]["referenceLocator"].as_str().expect("its URL");
    assert!(url.starts_with("pkg:deb/debian/python3.9-minimal@3.9."), "{url}");
    // Each is in the image, each by an identifier of its own.
    let ids: std::collections::BTreeSet<&str> = packages.iter().map(|p| p["SPDXID"].as_str().expect("text")).collect();
    let contained = document["relationships"].as_array().expect("relationships").iter();
    let contained = contained.filter(|one| one["relationshipType"] == "CONTAINS").count();
    assert!(ids.len() == packages.len() && contained == packages.len() - 1 && contained > 30, "{contained}");
    let said = as_nobody(&["image", "list", "--sbom", "cobol"]);
    let err = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && err.contains("there is no image \"cobol\"; there are: "), "{err}");
}
