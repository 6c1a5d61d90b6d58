//! Where paths lead, and what layers take away.

use super::*;

fn merged(entries: &[(&str, usize, &str)]) -> Merged {
    let mut merged = Merged::new(Bounds::IN_FORCE);
    for (path, layer, what) in entries {
        let kind = match *what {
            "file" => Kind::File(Digest::of(path.as_bytes())),
            "directory" => Kind::Directory(1),
            target => Kind::Symlink(target.as_bytes().to_vec()),
        };
        merged.insert(path.as_bytes(), *layer, kind).unwrap();
    }
    merged
}

fn resolved(merged: &Merged, path: &str) -> Result<String, String> {
    let parts: Vec<&[u8]> = path.split('/').map(str::as_bytes).collect();
    let found = merged.resolve(&parts).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(found).unwrap())
}

fn paths(merged: &Merged) -> Vec<String> {
    merged.iter().map(|(path, _)| String::from_utf8(path.to_vec()).unwrap()).collect()
}

fn names(gone: &[Gone]) -> Vec<String> {
    gone.iter().map(|one| String::from_utf8(one.path.clone()).unwrap()).collect()
}

#[test]
fn links_are_followed_in_the_image_and_never_out_of_it() {
    let tree = merged(&[
        ("usr/lib", 1, "directory"),
        ("lib", 1, "usr/lib"),
        ("absolute", 1, "/usr/lib"),
        ("usr/up", 1, "../lib"),
        ("chain", 1, "usr/up"),
        ("out", 1, ".."),
        ("far", 1, "usr/../../../etc"),
        ("a", 1, "b"),
        ("b", 1, "a"),
        ("usr/file", 1, "file"),
        ("nowhere", 1, "no/such"),
    ]);
    for (path, expected) in [
        ("usr/lib/x", "usr/lib/x"),
        ("lib/x", "usr/lib/x"),
        ("absolute/deep/x", "usr/lib/deep/x"),
        ("usr/up/x", "usr/lib/x"),
        ("chain/x", "usr/lib/x"),
        // The last part is never followed: it is what is made.
        ("lib", "lib"),
        ("out", "out"),
        ("nowhere/x", "no/such/x"),
    ] {
        assert_eq!(resolved(&tree, path).as_deref(), Ok(expected), "{path}");
    }
    for (path, expected) in [
        ("out/x", "leads out of the image"),
        ("far/x", "leads out of the image"),
        ("a/x", "in a circle"),
        ("usr/file/x", "is a file"),
        (&format!("{}x", "d/".repeat(129)), "too deep"),
    ] {
        let error = resolved(&tree, path).unwrap_err();
        assert!(error.contains(expected), "{path}: {error}");
    }
}

#[test]
fn a_whiteout_takes_what_lower_layers_brought_and_nothing_of_its_own() {
    let mut tree = merged(&[
        ("d/low", 1, "file"),
        ("d/sub/low", 1, "file"),
        ("d/sub/own", 2, "file"),
        ("d-side", 1, "file"),
        ("d0", 1, "file"),
        ("e/low", 1, "file"),
    ]);
    assert_eq!(names(&tree.hide(b"d", false, 2)), ["d/sub/low", "d/low"]);
    assert_eq!(paths(&tree), ["d", "d-side", "d/sub", "d/sub/own", "d0", "e", "e/low"]);
    assert_eq!(names(&tree.hide(b"e", false, 2)), ["e/low", "e"]);
    assert!(tree.hide(b"not-there", false, 2).is_empty());
    assert_eq!(tree.names, paths(&tree).iter().map(|path| path.len() as u64).sum::<u64>(), "all is counted");
}

#[test]
fn an_opaque_directory_keeps_what_its_own_layer_brought_before_or_after() {
    for own_first in [true, false] {
        let mut tree = merged(&[("d/low", 1, "file"), ("d/sub/low", 1, "file"), ("x", 1, "file")]);
        let own = Kind::File(Digest::of(b"own"));
        if own_first {
            tree.insert(b"d/sub/own", 2, own.clone()).unwrap();
        }
        tree.hide(b"d", true, 2);
        if !own_first {
            tree.insert(b"d/sub/own", 2, own).unwrap();
        }
        assert_eq!(paths(&tree), ["d", "d/sub", "d/sub/own", "x"], "own first: {own_first}");
    }
    let mut tree = merged(&[("d/low", 1, "file"), ("x", 1, "file"), ("y", 2, "file")]);
    tree.hide(b"", true, 2);
    assert_eq!(paths(&tree), ["y"], "of the root, everything");
}

#[test]
fn hiding_the_same_again_and_again_costs_nothing() {
    let mut tree = merged(&[("d/own", 2, "file"), ("d/low", 1, "file")]);
    assert_eq!(names(&tree.hide(b"d", true, 2)), ["d/low"]);
    for _ in 0..1000 {
        assert!(tree.hide(b"d", true, 2).is_empty());
        assert!(tree.hide(b"no/such", true, 2).is_empty());
    }
    assert_eq!(tree.hidden.len(), 1);
    // The next layer is another.
    assert_eq!(names(&tree.hide(b"d", true, 3)), ["d/own"]);
}

#[test]
fn what_comes_in_the_place_of_something_replaces_all_of_it_but_a_directory_a_directory() {
    let mut tree = merged(&[("d/a", 1, "file"), ("d/b/c", 2, "file"), ("l", 1, "d")]);
    assert!(tree.replace(b"d", true).is_empty());
    assert_eq!(names(&tree.replace(b"l", true)), ["l"]);
    assert_eq!(names(&tree.replace(b"d", false)), ["d/b/c", "d/b", "d/a", "d"]);
    assert_eq!((paths(&tree), tree.names), (Vec::new(), 0));
}

#[test]
fn names_have_a_bound() {
    let mut tree = Merged::new(Bounds { names: 20, ..Bounds::IN_FORCE });
    tree.insert(b"12345678", 1, Kind::Symlink(b"12345678".to_vec())).unwrap();
    // The same again is nothing more.
    tree.insert(b"12345678", 2, Kind::Symlink(b"12345678".to_vec())).unwrap();
    let error = tree.insert(b"123456", 2, Kind::Directory(0)).unwrap_err();
    assert!(error.to_string().contains("more than 20 bytes of names"), "{error}");
}
