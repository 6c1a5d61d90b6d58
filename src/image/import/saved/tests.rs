//! Archives as files, read from wherever they come.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::thread;

use tar::EntryType;

use super::*;
use crate::image::import::tests::archive::{Layer, Packed, sha256};

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn read_within(given: File, bounds: Bounds) -> Result<Saved, String> {
    let dir = tempfile::tempdir().unwrap();
    Saved::read(given, dir.path(), bounds).map_err(|error| {
        let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
        causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
    })
}

fn read(layer: &Layer) -> Result<Saved, String> {
    read_within(file(&layer.bytes()), Bounds::IN_FORCE)
}

fn some() -> Layer {
    Layer::new()
        .directory("dir/")
        .file("./dir/one", b"first")
        .link("dir/two", "../dir/one")
        .hard_link("three", "dir/two")
}

#[test]
fn finds_what_is_there_however_the_archive_comes() {
    let bytes = some().bytes();
    let (gzip, zstd) = (Packed::Gzip.pack(&bytes), Packed::Zstd.pack(&bytes));
    for (form, given) in [("plain", &bytes), ("gzip", &gzip), ("zstd", &zstd)] {
        for pipe in [false, true] {
            let (archive, writer) = if pipe {
                let (from, mut to) = io::pipe().unwrap();
                let bytes = given.clone();
                (File::from(OwnedFd::from(from)), Some(thread::spawn(move || to.write_all(&bytes))))
            } else {
                (file(given), None)
            };
            let saved = read_within(archive, Bounds::IN_FORCE).unwrap();
            assert_eq!(saved.digest.to_string(), sha256(given), "{form}, pipe: {pipe}");
            for name in ["dir/one", "./dir/one", "dir/two", "three"] {
                assert_eq!(saved.document(name, "it").unwrap(), b"first", "{form}, pipe: {pipe}, {name}");
            }
            assert!(!saved.has("dir") && !saved.has("../dir/one") && !saved.has("/dir/one"));
            if let Some(writer) = writer {
                writer.join().unwrap().unwrap();
            }
        }
    }
}

#[test]
fn what_is_no_archive_or_lies_is_refused() {
    let cases = [
        (some().file("dir/one", b"again"), "in the archive twice"),
        (some().link("up", "../../etc/passwd"), "leads out of the archive"),
        (some().link("up", "/etc/passwd"), "leads out of the archive"),
        (some().file("../x", b""), "`..` is not taken"),
        (some().entry("null", EntryType::Char, 0o666, "", b""), "files, directories and links only"),
        (
            Layer::new()
                .pax(&[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"9"), ("GNU.sparse.name", b"x")])
                .file("x", b"1"),
            "in pieces",
        ),
    ];
    for (layer, expected) in cases {
        let error = read(&layer).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let circle = read(&Layer::new().link("a", "b").link("b", "a")).unwrap();
    assert!(!circle.has("a"));
    for (bytes, expected) in [
        (b"\xfd7zXZ\x00 and more".to_vec(), "gzip and zstd are read"),
        (b"BZh91AY&SY".to_vec(), "gzip and zstd are read"),
        (vec![b'x'; 2000], "cannot read the archive as one that holds an image"),
        (some().bytes()[..700].to_vec(), "after dir/"),
        (Packed::Gzip.pack(&some().bytes())[..100].to_vec(), "cannot read the archive"),
    ] {
        let error = read_within(file(&bytes), Bounds::IN_FORCE).unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let directory = tempfile::tempdir().unwrap();
    let error = read_within(File::open(directory.path()).unwrap(), Bounds::IN_FORCE).unwrap_err();
    assert!(error.contains("it is a directory"), "{error}");
}

#[test]
fn what_grows_without_end_is_refused() {
    let zeros = vec![0; 8 << 20];
    let bomb = Layer::new().file("zeros", &zeros).bytes();
    let bounds = Bounds { free: 1 << 20, ratio: 100, ..Bounds::IN_FORCE };
    for packed in [Packed::Gzip, Packed::Zstd] {
        let error = read_within(file(&packed.pack(&bomb)), bounds).unwrap_err();
        assert!(error.contains("grows more than 100-fold"), "{packed:?}: {error}");
    }
    read_within(file(&bomb), bounds).unwrap();
    let bounds = Bounds { stream: 1 << 20, ..Bounds::IN_FORCE };
    let error = read_within(file(&Packed::Gzip.pack(&bomb)), bounds).unwrap_err();
    assert!(error.contains("more than 1048576 bytes without compression"), "{error}");
    // Behind the end of an archive too: zeros end it, and go on.
    let mut tail = Layer::new().file("x", b"x").bytes();
    tail.resize(8 << 20, 0);
    let error = read_within(file(&Packed::Gzip.pack(&tail)), bounds).unwrap_err();
    assert!(error.contains("more than 1048576 bytes"), "{error}");
    let many = (0..20).fold(Layer::new(), |layer, n| layer.file(&n.to_string(), b""));
    let bounds = Bounds { files: 10, ..Bounds::IN_FORCE };
    assert!(read_within(file(&many.bytes()), bounds).unwrap_err().contains("more than 10 files"));
    let saved = read_within(file(&bomb), Bounds::IN_FORCE).unwrap();
    assert!(saved.document("zeros", "it").unwrap_err().to_string().contains("bytes of one document"));
}

#[test]
fn compressed_streams_of_several_parts_are_read_as_one() {
    let bytes = some().bytes();
    let (head, tail) = bytes.split_at(700);
    // A frame to skip: its magic number, the length of what it holds, and that (RFC 8878, 3.1.2).
    let skip = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let (one, two) = (Packed::Zstd.pack(head), Packed::Zstd.pack(tail));
    let gzip = [Packed::Gzip.pack(head), Packed::Gzip.pack(tail)].concat();
    for given in
        [[skip.clone(), one.clone(), skip.clone(), two.clone(), skip.clone()].concat(), [one, two].concat(), gzip]
    {
        let saved = read_within(file(&given), Bounds::IN_FORCE).unwrap();
        assert_eq!(saved.document("three", "it").unwrap(), b"first");
    }
    let cut = [Packed::Zstd.pack(&bytes), skip[..9].to_vec()].concat();
    assert!(read_within(file(&cut), Bounds::IN_FORCE).is_err());
}
