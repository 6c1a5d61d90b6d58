//! Files with holes as GNU tar itself writes them, in each of its forms, and maps that lie.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;

use super::*;
use crate::image::error::UnpackError;

/// More pieces than a header, and than one block behind it, has room for.
const ISLANDS: u64 = 60;

/// A file of islands in a sea of zeros, archived by GNU tar with these options.
fn archived(options: &[&str]) -> (Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("islands");
    let file = File::create(&path).unwrap();
    for island in 0..ISLANDS {
        file.write_all_at(format!("island {island}").as_bytes(), island * 64 * 1024 + 512).unwrap();
    }
    file.set_len(ISLANDS * 64 * 1024 + 4096).unwrap();
    let tar = Command::new("tar")
        .args(["--sparse", "--hole-detection=raw", "-cf", "-", "-C"])
        .arg(dir.path())
        .args(options)
        .arg("islands")
        .output()
        .unwrap();
    assert!(tar.status.success(), "{}", String::from_utf8_lossy(&tar.stderr));
    (tar.stdout, fs::read(&path).unwrap())
}

#[test]
fn every_form_of_gnu_tar_gives_the_file_with_its_holes() {
    let forms: [&[&str]; 4] = [
        &["--format=gnu"],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ];
    for form in forms {
        let (archive, expected) = archived(form);
        assert!(archive.len() < expected.len() / 4, "{form:?}: GNU tar left the holes out");
        let mut headers = Headers::new(archive.as_slice());
        let (header, mut content) = headers.next().unwrap().unwrap();
        assert_eq!((header.path.as_slice(), header.size), (b"islands".as_slice(), expected.len() as u64), "{form:?}");
        assert!(header.in_pieces, "{form:?}");
        let mut found = Vec::new();
        content.read_to_end(&mut found).unwrap();
        assert!(found == expected, "{form:?}: another content");
        assert!(headers.next().unwrap().is_none(), "{form:?}: nothing follows");
    }
}

#[test]
fn a_file_that_is_not_read_is_passed_over_as_a_whole() {
    let (mut archive, _) = archived(&["--format=gnu"]);
    let end = archive.len() - archive.iter().rev().take_while(|byte| **byte == 0).count();
    archive.truncate(end.next_multiple_of(512));
    let (second, _) = archived(&["--format=posix"]);
    archive.extend_from_slice(&second);
    let mut headers = Headers::new(archive.as_slice());
    assert_eq!(headers.next().unwrap().unwrap().0.path, b"islands");
    assert_eq!(headers.next().unwrap().unwrap().0.path, b"islands");
    assert!(headers.next().unwrap().is_none());
}

#[test]
fn maps_that_lie_are_refused() {
    let piece = |at, size| Piece { at, size };
    for (pieces, size, held) in [
        (vec![piece(10, 10), piece(5, 1)], 100, 512),
        (vec![piece(0, 10), piece(5, 10)], 100, 512),
        (vec![piece(90, 20)], 100, 512),
        (vec![piece(u64::MAX, 2)], u64::MAX, 512),
        (vec![piece(0, 1024)], 4096, 512),
    ] {
        assert!(check(&pieces.clone().into(), size, held).is_err(), "{pieces:?}");
    }
    check(&vec![piece(0, 10), piece(50, 50), piece(100, 0)].into(), 100, 512).unwrap();
    let mut told = Told::default();
    for (key, value) in [("numbytes", "5"), ("map", "1,2,3"), ("map", "1,x"), ("size", "-1"), ("major", "")] {
        assert!(told.record(key.as_bytes(), value.as_bytes()).is_err(), "{key}={value}");
    }
    let many = vec!["0,0"; MOST + 1].join(",");
    assert!(Told::default().record(b"map", many.as_bytes()).unwrap_err().to_string().contains("more than 100000"));
}

#[test]
fn a_map_without_an_end_is_refused() {
    for (map, expected) in
        [("9".repeat(600), "without an end"), ("3\n0\n1\n".to_owned(), "number"), ("x\n".into(), "number")]
    {
        let mut archive = crate::image::import::tests::archive::Layer::new().pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"f"),
            ("GNU.sparse.realsize", b"100"),
        ]);
        archive = archive.file("f", map.as_bytes());
        let bytes = archive.bytes();
        let mut headers = Headers::new(bytes.as_slice());
        let Err(UnpackError::Read { source, .. }) = headers.next() else { panic!("{expected}") };
        assert!(source.to_string().contains(expected), "{source}");
    }
}
