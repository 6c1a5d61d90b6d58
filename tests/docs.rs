//! Reads README.md and the pages of `docs/` and fails when they promise what is not there: a file or folder of the tree,
//! a command of the binary, a setting, the target of a link, a message in the table of messages. The last test shows
//! that it can fail.

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Words that begin so are paths of the tree.
const FOLDERS: [&str; 8] = ["src/", "tests/", "benches/", "docs/", "rootfs-build/", "seccomp/", ".config/", ".ci/"];

/// Commands that have commands of their own.
const NESTED: [&str; 3] = ["image", "seccomp", "token"];

/// What the documents are held against.
struct Tree {
    root: PathBuf,
    /// `up`, `image build`, …
    commands: BTreeSet<String>,
    /// The reference page of the settings.
    settings: String,
    /// All of `src` without the line ends that a string literal skips, so that a message is in one piece.
    source: String,
}

impl Tree {
    fn read() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut commands = subcommands(&[]);
        for above in NESTED {
            for below in subcommands(&[above]) {
                commands.insert(format!("{above} {below}"));
            }
        }
        let mut source = String::new();
        for path in files(&root.join("src"), "rs") {
            source.push_str(&in_one_piece(&fs::read_to_string(path).expect("source")));
        }
        let settings = fs::read_to_string(root.join("docs/SETTINGS.md")).expect("the reference page");
        Self { root, commands, settings, source }
    }

    fn problems(&self, page: &str, text: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let mut say = |problem: String| wrong.push(format!("{page}:{}: {problem}", number + 1));
            for word in words(line) {
                if let Some(problem) = self.path(word).or_else(|| self.setting(word)) {
                    say(problem);
                }
            }
            for test in line.split('`').filter(|span| span.contains(".rs::")) {
                if let Some(problem) = self.test(test) {
                    say(problem);
                }
            }
            for target in targets(line) {
                if let Some(problem) = self.link(page, text, target) {
                    say(problem);
                }
            }
            if page == "docs/TROUBLESHOOTING.md"
                && let Some(message) = line.strip_prefix("| `").and_then(|rest| rest.split_once("` |"))
            {
                let pieces = message.0.split('…').map(str::trim).filter(|piece| piece.len() > 3);
                pieces
                    .filter(|piece| !self.source.contains(piece))
                    .for_each(|piece| say(format!("no message has {piece:?}")));
            }
        }
        for code in code(text) {
            for called in calls(code) {
                if !self.commands.contains(&called) {
                    wrong.push(format!("{page}: there is no command `casemate {called}`"));
                }
            }
        }
        wrong
    }

    /// A word that names a place of the tree. Up to the first `<` or `*` of a pattern only the folder can be looked at.
    fn path(&self, word: &str) -> Option<String> {
        let fixed = match word.find(['<', '*', '#']) {
            Some(at) if word[at..].starts_with('#') => &word[..at],
            Some(at) => &word[..word[..at].rfind('/').map_or(0, |slash| slash + 1)],
            None => word,
        };
        let rooted = FOLDERS.iter().any(|folder| fixed.starts_with(folder));
        if rooted && !self.root.join(fixed).exists() {
            return Some(format!("{word} is not in the tree"));
        }
        // A Rust file by its name alone has to be somewhere.
        let elsewhere = !rooted && fixed.ends_with(".rs") && !fixed.starts_with('/') && fixed.len() > 3;
        let there = || {
            let all = ["src", "tests", "benches", "rootfs-build"].map(|folder| files(&self.root.join(folder), "rs"));
            self.root.join(fixed).exists() || all.iter().flatten().any(|path| path.ends_with(fixed))
        };
        (elsewhere && !there()).then(|| format!("no file of the tree is called {word}"))
    }

    /// `file::function` names a test that is there.
    fn test(&self, span: &str) -> Option<String> {
        let (file, function) = span.split_once("::").unwrap_or((span, ""));
        let source = fs::read_to_string(self.root.join(file)).unwrap_or_default();
        (!source.contains(&format!("fn {function}("))).then(|| format!("there is no test {span}"))
    }

    fn setting(&self, word: &str) -> Option<String> {
        let name = word.split('=').next().unwrap_or_default();
        if !name.starts_with("CASEMATE_") || name == "CASEMATE_" {
            return None;
        }
        let general = match name.split("__").collect::<Vec<_>>()[..] {
            [first, _, _, last] => format!("{first}__<LANGUAGE>__<STEP>__{last}"),
            _ => name.to_owned(),
        };
        // Four settings have a variable without the prefix, which may stand before it all the same.
        let known = [general.as_str(), name.trim_start_matches("CASEMATE_")];
        let known = known.iter().any(|name| self.settings.contains(&format!("`{name}`")));
        (!known).then(|| format!("there is no setting {name}"))
    }

    fn link(&self, page: &str, text: &str, target: &str) -> Option<String> {
        if target.contains("://") {
            return None;
        }
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let path = self.root.join(page).parent().expect("a page is in a folder").join(file);
        let there = if file.is_empty() { Some(text.to_owned()) } else { fs::read_to_string(&path).ok() };
        match there {
            None if path.is_dir() && anchor.is_empty() => None,
            None => Some(format!("the link {target} is dead")),
            Some(there) if !anchor.is_empty() && !anchors(&there).any(|heading| heading == anchor) => {
                Some(format!("the link {target} names no heading"))
            }
            Some(_) => None,
        }
    }
}

/// What `--help` lists under `Commands:`.
fn subcommands(of: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_casemate")).args(of).arg("--help").output().expect("the binary");
    let help = String::from_utf8(output.stdout).expect("text");
    let list = help.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
    let found: BTreeSet<String> =
        list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    assert!(found.len() > 1, "no commands were read from {help}");
    found
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of the tree").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

fn in_one_piece(source: &str) -> String {
    let mut pieces = source.split("\\\n");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |all, piece| all + piece.trim_start()).replace("\\\"", "\"")
}

/// Words as a path or a variable would be one, without the marks around them.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let marks = |c: char| "`()[]|,;:'\"→│├└─".contains(c) || c.is_whitespace();
    line.split(marks).map(|word| word.trim_start_matches("./").trim_end_matches('.')).filter(|word| !word.is_empty())
}

/// The targets of `[text](target)`.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

/// Headings as GitHub makes anchors of them.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// Code that somebody may type: spans, and the lines of blocks marked `sh`.
fn code(text: &str) -> Vec<&str> {
    let (mut found, mut block) = (Vec::new(), None);
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), block) {
            (Some(_), Some(_)) => block = None,
            (Some(language), None) => block = Some(language),
            (None, Some("sh")) => found.push(line),
            (None, Some(_)) => {}
            (None, None) => found.extend(line.split('`').skip(1).step_by(2)),
        }
    }
    found
}

/// The subcommands called in one piece of code; of those that have some with their own.
fn calls(code: &str) -> Vec<String> {
    let words: Vec<&str> = code.split_whitespace().collect();
    let name = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let program = *word == "casemate" || word.ends_with("/casemate") && !word.contains("//");
        let cargo = *word == "--" && words[..at].contains(&"cargo") && words[..at].contains(&"run");
        let Some(first) = words.get(at + 1).filter(|_| program || cargo).filter(|word| name(word)) else { continue };
        found.push((*first).to_owned());
        if let Some(second) = words.get(at + 2).filter(|word| NESTED.contains(first) && name(word)) {
            found.push(format!("{first} {second}"));
        }
    }
    found
}

#[test]
fn what_the_documents_name_is_there() {
    let tree = Tree::read();
    let mut pages = files(&tree.root.join("docs"), "md");
    pages.extend(["README.md", "seccomp/README.md"].map(|page| tree.root.join(page)));
    assert!(pages.len() >= 6, "{pages:?}");
    let mut wrong = Vec::new();
    for page in pages {
        let name = page.strip_prefix(&tree.root).expect("below the root").display().to_string();
        wrong.extend(tree.problems(&name, &fs::read_to_string(&page).expect("a page")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What the package installs as documents, by its place in the tree, and where each lies in it: lines `place 644 FILE
/// usr/share/doc/casemate/…` of the script, and all of `docs/` but what Debian's tools want.
fn shipped(tree: &Tree) -> BTreeSet<String> {
    let script = fs::read_to_string(tree.root.join("docs/deploy/package")).expect("the script");
    let mut pages = BTreeSet::from(["docs".to_owned()]);
    for line in script.lines().filter_map(|line| line.trim().strip_prefix("place 644 ")) {
        if let Some((file, below)) = line.split_once(" usr/share/doc/casemate/")
            && file == below
        {
            pages.insert(file.to_owned());
        }
    }
    assert!(pages.len() >= 4, "{pages:?}");
    pages
}

/// The links of a page that lead out of the package: its reader has no tree beside it.
fn leads_out(tree: &Tree, page: &str, text: &str) -> Vec<String> {
    let shipped = shipped(tree);
    let mut wrong = Vec::new();
    for target in text.lines().flat_map(targets).filter(|target| !target.contains("://")) {
        let file = target.split('#').next().unwrap_or_default();
        let mut path = Path::new(page).parent().expect("a page is in a folder").to_owned();
        for part in Path::new(file).components() {
            let up = part.as_os_str() == "..";
            path = if up { path.parent().unwrap_or(Path::new("")).to_owned() } else { path.join(part) };
        }
        let path = path.display().to_string();
        let there = path.starts_with("docs/") && !path.starts_with("docs/deploy/debian") || shipped.contains(&path);
        if !(file.is_empty() || there) {
            wrong.push(format!("{page}: {target} is not in the package"));
        }
    }
    wrong
}

#[test]
fn pages_of_the_package_lead_to_what_is_in_it() {
    let tree = Tree::read();
    let mut pages = files(&tree.root.join("docs"), "md");
    pages.extend(["README.md", "seccomp/README.md"].map(|page| tree.root.join(page)));
    let mut wrong = Vec::new();
    for page in pages {
        let name = page.strip_prefix(&tree.root).expect("below the root").display().to_string();
        wrong.extend(leads_out(&tree, &name, &fs::read_to_string(&page).expect("a page")));
    }
    assert_eq!(wrong, [""; 0]);
    let text =
        "[a](../tests/attacks/README.md) [b](deploy/debian/control) [c](SETTINGS.md#x) [d](../README.md) [e](#f)";
    assert_eq!(leads_out(&tree, "docs/SECURITY.md", text).len(), 2);
}

/// A threat model that names no test is a promise.
#[test]
fn every_row_of_the_threat_model_names_a_test() {
    let page = include_str!("../docs/SECURITY.md");
    let (mut rows, mut part) = (0, "");
    for line in page.lines() {
        part = line.strip_prefix("## ").unwrap_or(part);
        let row = line.starts_with("| ") && ["What a program meets", "Attacks"].contains(&part);
        if row && !line.ends_with("| seen in |") {
            rows += 1;
            assert!(line.contains(".rs::"), "no test shows: {line}");
        }
    }
    assert!(rows > 20, "{rows}");
}

#[test]
fn the_map_has_every_room() {
    let map = include_str!("../docs/ARCHITECTURE.md");
    let rooms = include_str!("../src/lib.rs").lines().filter_map(|line| line.strip_prefix("pub mod "));
    for room in rooms.map(|room| room.trim_end_matches(';')) {
        assert!(map.contains(&format!("`src/{room}.rs`")), "docs/ARCHITECTURE.md does not show src/{room}.rs");
    }
}

#[test]
fn fabricated_mistakes_are_found() {
    let tree = Tree::read();
    let rows: [(&str, &str); 15] = [
        ("see `src/nothing.rs`.", "src/nothing.rs is not in the tree"),
        ("the folder docs/nowhere/, and more", "docs/nowhere/ is not in the tree"),
        ("one of `seccomp/none/<name>.json`", "is not in the tree"),
        ("`nothing.rs` does it", "no file of the tree is called nothing.rs"),
        ("seen in `tests/docs.rs::no_such_function`", "there is no test tests/docs.rs::no_such_function"),
        ("seen in `tests/nothing.rs::run`", "there is no test tests/nothing.rs::run"),
        ("run `casemate fly` now", "no command `casemate fly`"),
        ("`target/release/casemate image burn`", "no command `casemate image burn`"),
        ("`casemate seccomp sing`", "no command `casemate seccomp sing`"),
        ("```sh\ncargo run --release -- down\n```\n", "no command `casemate down`"),
        ("set `CASEMATE_NOTHING=1`", "no setting CASEMATE_NOTHING"),
        ("set `CASEMATE_LIMITS__C__RUN__WINGS`", "no setting CASEMATE_LIMITS__C__RUN__WINGS"),
        ("[here](NOWHERE.md)", "the link NOWHERE.md is dead"),
        ("[here](SETTINGS.md#nothing)", "names no heading"),
        ("| `the moon … is full` | wait |", "no message has"),
    ];
    for (text, problem) in rows {
        let found = tree.problems("docs/TROUBLESHOOTING.md", text);
        assert!(found.iter().any(|line| line.contains(problem)), "{problem:?} not among {found:?}");
    }
}

#[test]
fn what_is_there_is_not_found() {
    let tree = Tree::read();
    let text = "# One: `two`\n`src/model.rs`, `src/http/`, `rootfs-build/languages/*.toml`, `units.rs`, `http/routes.rs` \
                `tests/docs.rs::what_is_there_is_not_found` \
                `casemate image build --rebuild` `casemate run FILE` `CASEMATE_LIMITS__C__RUN__WALL_MS=1` \
                [a](SETTINGS.md#settings) [b](../src) [c](#one-two) [d](https://example.org)\n\
                | `refused \"…\": …` | x |\n```text\ncasemate serves at\n```\n";
    assert_eq!(tree.problems("docs/TROUBLESHOOTING.md", text), [""; 0]);
}
