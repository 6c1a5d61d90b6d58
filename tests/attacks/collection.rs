//! The programs: every file below `programs/`, with its header. The tests here hold the collection as a whole.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::classes::CLASSES;
use super::header::{self, Header};
use super::layers::LAYERS;

/// Fewer would be no suite.
const AT_LEAST: usize = 80;

/// One program.
#[derive(Clone, Debug)]
pub struct Attack {
    /// `kernel/io_uring.c`.
    pub name: String,
    /// `c`, `java`, `python` or `sh`.
    pub language: &'static str,
    /// The whole file.
    pub source: String,
    /// What it says of itself.
    pub header: Header,
}

/// All of them by name; `CMTEST_ATTACK` leaves only those whose name has one of its words in it.
pub fn attacks() -> Vec<Attack> {
    let (all, wrong) = read();
    assert!(wrong.is_empty(), "headers that are no headers (README.md here has the form):\n{}", wrong.join("\n"));
    let wanted = std::env::var("CMTEST_ATTACK").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    let any = |attack: &Attack| wanted.is_empty() || wanted.iter().any(|word| attack.name.contains(word));
    all.into_iter().filter(any).collect()
}

fn read() -> (Vec<Attack>, Vec<String>) {
    // Where the tests run may be another place than where they were built.
    let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&root).join("tests/attacks/programs");
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for path in files(&root) {
        let name = path.strip_prefix(&root).expect("below the root").display().to_string();
        let source = fs::read_to_string(&path).expect("a program");
        let (language, mark) = match path.extension().and_then(|extension| extension.to_str()) {
            Some("c") => ("c", "//"),
            Some("java") => ("java", "//"),
            Some("py") => ("python", "#"),
            Some("sh") => ("sh", "#"),
            _ => {
                wrong.push(format!("{name}: not .c, .java, .py or .sh"));
                continue;
            }
        };
        match header::parse(&source, mark) {
            Ok(header) => all.push(Attack { name, language, source, header }),
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    (all, wrong)
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the programs").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_class_is_attacked_and_every_attack_has_a_class() {
    let (all, wrong) = read();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let tags: BTreeSet<&str> = CLASSES.iter().map(|(tag, _)| *tag).collect();
    assert_eq!(tags.len(), CLASSES.len(), "a class is listed twice");
    let used: BTreeSet<&str> = all.iter().flat_map(|attack| &attack.header.classes).map(String::as_str).collect();
    let unknown: Vec<_> = used.difference(&tags).collect();
    let missing: Vec<_> = tags.difference(&used).collect();
    assert!(unknown.is_empty() && missing.is_empty(), "no such class: {unknown:?}; never attacked: {missing:?}");
    assert!(all.len() >= AT_LEAST, "{} attacks, {AT_LEAST} are the least", all.len());
}

/// That taking it away is indeed noticed is shown where the attacks run.
#[test]
fn every_layer_stops_an_attack() {
    let (all, _) = read();
    let used: BTreeSet<&str> = all.iter().flat_map(|attack| attack.header.stopped_by.iter().copied()).collect();
    let idle: Vec<&str> = LAYERS.iter().map(|layer| layer.name).filter(|name| !used.contains(name)).collect();
    assert!(idle.is_empty(), "no attack would notice it if these were gone: {idle:?}");
}
