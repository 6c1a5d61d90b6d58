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

/// What a row of the page says wrong: programs and layers as the headers have them, and a test where there is no program.
fn wrong_of_row(cells: &[&str], all: &[Attack]) -> Option<String> {
    let [attack, programs, layers, tests] = cells else { return Some(format!("{cells:?} are not four cells")) };
    let mut stopped_by = Vec::new();
    for program in programs.split('`').skip(1).step_by(2) {
        let Some(found) = all.iter().find(|attack| attack.name == program) else {
            return Some(format!("{attack}: there is no program {program}"));
        };
        stopped_by.extend(
            found.header.stopped_by.iter().filter(|name| !stopped_by.contains(*name)).copied().collect::<Vec<_>>(),
        );
    }
    if programs.is_empty() && !tests.contains(".rs::") {
        return Some(format!("{attack}: neither a program nor a test"));
    }
    (stopped_by.join(", ") != *layers).then(|| format!("{attack}: stopped by {}, says the head", stopped_by.join(", ")))
}

/// What is wrong with a page of attacks.
fn wrong_of_page(page: &str, all: &[Attack]) -> Vec<String> {
    let rows = page.split("\n## ").skip(1).flat_map(|part| part.lines().filter(|line| line.starts_with("| ")));
    let rows = rows.filter(|row| !row.starts_with("| attack |"));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect();
    let mut wrong: Vec<String> = rows.iter().filter_map(|cells| wrong_of_row(cells, all)).collect();
    let named =
        |attack: &&Attack| rows.iter().any(|cells| cells.iter().any(|c| c.contains(&format!("`{}`", attack.name))));
    wrong.extend(all.iter().filter(|attack| !named(attack)).map(|attack| format!("{} is in no row", attack.name)));
    if rows.len() < 60 {
        wrong.push(format!("only {} rows were read", rows.len()));
    }
    wrong
}

/// The list by which a reader finds the attack that he has in mind.
#[test]
fn the_page_has_every_attack() {
    let page = include_str!("../../docs/ATTACKS.md");
    let (all, _) = read();
    assert_eq!(wrong_of_page(page, &all), Vec::<String>::new());
    for (from, to, said) in [
        ("`kernel/bpf.c`", "`kernel/fpb.c`", "there is no program kernel/fpb.c"),
        ("`kernel/bpf.c`", "", "kernel/bpf.c is in no row"),
        ("| open-files, memory |", "| open-files |", "stopped by open-files, memory"),
        ("`tests/http/malformed.rs::json`", "", "neither a program nor a test"),
    ] {
        let wrong = wrong_of_page(&page.replace(from, to), &all);
        assert!(wrong.iter().any(|line| line.contains(said)), "{said:?} is not said: {wrong:?}");
    }
}
