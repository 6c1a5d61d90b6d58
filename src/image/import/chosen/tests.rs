//! Which image of an archive is taken, and that nothing is believed without its digest.

use std::fs::File;
use std::io::Write;

use serde_json::json;

use super::*;
use crate::image::import::tests::archive::{Archive, Image, Layer, Packed, architecture, sha256};

fn saved(archive: &Archive) -> Saved {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive.tar");
    File::create(&path).unwrap().write_all(&archive.bytes()).unwrap();
    Saved::read(File::open(&path).unwrap(), dir.path(), Bounds::IN_FORCE).unwrap()
}

fn choose(archive: &Archive, name: Option<&str>) -> Result<Chosen, String> {
    let here = format!("linux/{}", architecture());
    let wanted = Wanted { name, platform: &here, bounds: Bounds { descriptors: 50, layers: 3, ..Bounds::IN_FORCE } };
    Chosen::find(&saved(archive), wanted).map_err(|error| error.to_string())
}

fn image(content: &str) -> Image {
    Image::of([Layer::new().file("f", content.as_bytes())])
}

#[test]
fn every_form_leads_to_the_same_image() {
    let image = image("x").packed(Packed::Gzip);
    let id = sha256(&image.config());
    for (form, archive) in [("docker", image.docker()), ("oci", image.oci()), ("both", image.both())] {
        let chosen = choose(&archive, None).unwrap();
        assert_eq!(chosen.id.to_string(), id, "{form}");
        assert_eq!(chosen.name.as_deref(), Some("example:1"), "{form}");
        assert_eq!(chosen.manifest.is_some(), form != "docker");
        assert_eq!(chosen.layers.len(), 1);
        assert_eq!(chosen.layers[0].digest.is_some(), form != "docker");
    }
}

#[test]
fn an_image_is_chosen_by_its_name() {
    let (mut docker, mut oci) = (Archive::default(), Archive::default());
    let (mut entries, mut descriptors) = (Vec::new(), Vec::new());
    for name in ["docker.io/library/gcc:14", "docker.io/library/gcc:13"] {
        let image = image(name).named(name);
        let one = image.docker();
        for (file, content) in &one.0 {
            docker.put(&format!("{}-{file}", name.len()), content.clone());
        }
        let (config, layer) = (one.name(".json"), one.name("layer.tar"));
        let config = if config == "manifest.json" { format!("{}.json", sha256(&image.config())) } else { config };
        docker.put(&config, image.config());
        docker.put(&format!("{name}-layer"), one.0.iter().find(|(file, _)| *file == layer).unwrap().1.clone());
        entries.push(json!({"Config": config, "RepoTags": [name], "Layers": [format!("{name}-layer")]}));
        descriptors.push(image.add_to(&mut oci));
    }
    docker.json("manifest.json", &json!(entries));
    oci.layout(&descriptors);
    for archive in [&docker, &oci] {
        for wanted in ["gcc:13", "13", "library/gcc:13", "docker.io/library/gcc:13"] {
            let chosen = choose(archive, Some(wanted)).unwrap();
            assert_eq!(chosen.name.as_deref(), Some("docker.io/library/gcc:13"), "{wanted}");
        }
        let error = choose(archive, None).unwrap_err();
        assert!(error.contains("several images") && error.contains("gcc:13, docker.io/library/gcc:14"), "{error}");
        for wrong in ["gcc", "3", "cc:13", "gcc:15"] {
            let error = choose(archive, Some(wrong)).unwrap_err();
            assert!(error.contains(&format!("no image \"{wrong}\"; it has docker.io/library/gcc:13")), "{error}");
        }
    }
}

/// An index in an index, as Docker keeps images for several platforms.
fn several(platforms: &[&str], absent: &str) -> Archive {
    let mut archive = Archive::default();
    let mut below = Vec::new();
    for platform in platforms {
        let mut one = image(platform);
        one.architecture = (*platform).to_owned();
        one.name = None;
        if *platform == absent {
            below.push(one.add_to(&mut Archive::default()));
        } else {
            below.push(one.add_to(&mut archive));
        }
    }
    let mut attestation = image("attested").add_to(&mut archive);
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    below.push(attestation);
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": below}).to_string();
    let mut top = archive.blob(kind, index.into_bytes());
    top["annotations"] = json!({"io.containerd.image.name": "docker.io/library/python:3.9"});
    archive.layout(&[top]);
    archive
}

#[test]
fn the_image_for_this_machine_is_chosen() {
    let chosen = choose(&several(&["s390x", architecture(), "riscv64"], "s390x"), Some("python:3.9")).unwrap();
    assert_eq!(platform(&chosen.config), format!("linux/{}", architecture()));
    assert_eq!((chosen.indexes.len(), chosen.name.as_deref()), (1, Some("docker.io/library/python:3.9")));
    for archive in [several(&["s390x"], ""), several(&["s390x", architecture()], architecture())] {
        let error = choose(&archive, None).unwrap_err();
        assert!(error.contains(&format!("no image for linux/{}", architecture())), "{error}");
        assert!(error.ends_with("it has linux/s390x"), "{error}");
    }
    // A descriptor need not say it: the configuration does.
    let mut other = image("x");
    other.architecture = "s390x".to_owned();
    let mut archive = Archive::default();
    let mut descriptor = other.add_to(&mut archive);
    descriptor.as_object_mut().unwrap().remove("platform");
    archive.layout(&[descriptor]);
    for archive in [archive, other.docker()] {
        let error = choose(&archive, None).unwrap_err();
        assert!(error.ends_with("it has linux/s390x"), "{error}");
    }
}

#[test]
fn every_document_has_the_digest_that_names_it() {
    let image = image("x");
    let id = format!("blobs/sha256/{}", sha256(&image.config()));
    let mut oci = image.oci();
    oci.put(&id, [image.config(), b" ".to_vec()].concat());
    let mut docker = image.docker();
    docker.put(&format!("{}.json", sha256(&image.config())), [image.config(), b" ".to_vec()].concat());
    let mut manifest = image.oci();
    let (name, content) = manifest.0.iter().find(|(_, content)| content.starts_with(b"{\"config\"")).unwrap().clone();
    manifest.put(&name, [content, b" ".to_vec()].concat());
    for archive in [oci, docker, manifest] {
        let error = choose(&archive, None).unwrap_err();
        assert!(error.contains("the archive was changed or is damaged"), "{error}");
    }
}

#[test]
fn what_holds_no_image_says_what_would() {
    let with = |names: &[&str]| Archive(names.iter().map(|name| ((*name).to_owned(), b"{}".to_vec())).collect());
    for (archive, expected) in [
        (with(&["usr/bin/env", "etc/passwd"]), "as of `docker export`"),
        (with(&["repositories"]), "before 1.10"),
        (with(&["readme"]), "`docker save` or `podman save` makes one"),
        (with(&["manifest.json"]), "\"manifest.json\" in the archive is no list of images"),
        (with(&["index.json", "oci-layout"]), "\"index.json\" in the archive is no index"),
    ] {
        let error = choose(&archive, None).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let image = image("x");
    let (mut missing, mut sha512, mut none) = (image.docker(), image.oci(), image.docker());
    missing.json("manifest.json", &json!([{"Config": "gone.json", "Layers": []}]));
    let long = format!("sha512:{}", "a".repeat(128));
    sha512.layout(&[json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": long, "size": 1})]);
    none.json("manifest.json", &json!([]));
    let mut layers = image.docker();
    let config = format!("{}.json", sha256(&image.config()));
    layers.json("manifest.json", &json!([{"Config": config, "Layers": []}]));
    let many = Image::of((0..4).map(|n| Layer::new().file("f", &[n])));
    for (archive, expected) in [
        (missing, "no \"gone.json\", which manifest.json names"),
        (sha512, "only SHA-256 can"),
        (none, "list of images is empty"),
        (layers, "0 layers and its configuration digests of 1"),
        (many.oci(), "more than 3 layers"),
    ] {
        let error = choose(&archive, None).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn indexes_that_lead_to_one_another_over_and_over_end() {
    let kind = "application/vnd.oci.image.index.v1+json";
    let mut archive = Archive::default();
    let mut below = vec![image("x").add_to(&mut archive); 8];
    for _ in 0..3 {
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": below}).to_string();
        below = vec![archive.blob(kind, index.into_bytes()); 8];
    }
    archive.layout(&below);
    let error = choose(&archive, None).unwrap_err();
    assert!(error.contains("more than 50 manifests in its indexes"), "{error}");
}
