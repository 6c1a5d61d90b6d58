//! What a client names or lists: whether it can be so at all, and how he is told.

use std::collections::BTreeSet;

use super::most::{ARGUMENTS, COLLECTED, DEPTH, FILES, NAME, PATH, PATHS, VARIABLES, WORDS};
use crate::model::{Refusal, SourceFile};

/// What a path has to be.
const NAMES: &str = "names between slashes, without `.`, `..` and control characters";

/// Characters of a client's own name that are told in the path of a field.
const SHOWN: usize = 100;

/// The path of a member that the client named.
pub(super) fn member(object: &str, name: &str) -> String {
    let shown: String = name.chars().take(SHOWN).collect();
    let rest = if shown.len() < name.len() { "…" } else { "" };
    format!("{object}[{:?}]", shown + rest)
}

/// A field with a value that it cannot have: which value, where it can be shown, what is wrong with it, and what to do.
pub(super) fn bad(
    field: impl Into<String>,
    value: Option<&str>,
    wrong: impl Into<String>,
    remedy: impl Into<String>,
) -> Refusal {
    let (field, value) = (field.into(), value.map(str::to_owned));
    Refusal::BadValue { field, value, wrong: wrong.into(), remedy: remedy.into() }
}

/// Paths below `/code`, of which none is inside another that is a file.
pub(super) fn check_paths(files: &[SourceFile], above: &str) -> Result<(), Refusal> {
    let own = format!("{above}files");
    let refuse = |path: &str, wrong: &str, remedy: &str| Err(bad(member(&own, path), Some(path), wrong, remedy));
    if files.is_empty() {
        return Err(bad(format!("{above}files"), Some("{}"), "it is empty", "give at least one file, or `source`"));
    }
    if files.len() > FILES {
        return Err(Refusal::too_many(format!("{above}files"), files.len(), FILES, "files"));
    }
    let mut taken = BTreeSet::new();
    for SourceFile { path, .. } in files {
        if !is_plain(path) {
            return refuse(path, "it is no path below /code", &format!("give one: {NAMES}"));
        }
        if path.len() > PATH || path.split('/').count() > DEPTH {
            let remedy = format!("give one of at most {PATH} bytes and {DEPTH} names");
            return refuse(path, "the path is too long", &remedy);
        }
        if !taken.insert(path.as_str()) {
            return refuse(path, "the path comes twice", "give it once");
        }
    }
    let inside = |path: &&str| path.match_indices('/').any(|(at, _)| taken.contains(&path[..at]));
    if let Some(path) = taken.iter().find(|path| inside(path)) {
        let wrong = "another path is a file where this one needs a directory";
        return refuse(path, wrong, "give one of them another name");
    }
    let all: usize = taken.iter().map(|path| path.len()).sum();
    if all > PATHS {
        let remedy = format!("give paths of at most {PATHS} bytes together");
        return Err(bad(format!("{above}files"), Some(&all.to_string()), "the paths together are too long", remedy));
    }
    Ok(())
}

/// Paths below `/tmp`, to be opened beneath it.
pub(super) fn check_collect(paths: &[String]) -> Result<(), Refusal> {
    if paths.len() > COLLECTED {
        return Err(Refusal::too_many("collect", paths.len(), COLLECTED, "paths"));
    }
    let mut taken = BTreeSet::new();
    for (number, path) in paths.iter().enumerate() {
        let field = format!("collect[{number}]");
        if !is_plain(path) || path.len() > PATH {
            let remedy = format!("give one of at most {PATH} bytes, such as dir/out.txt: {NAMES}");
            return Err(bad(field, Some(path), "it is no path below /tmp", remedy));
        }
        if !taken.insert(path) {
            return Err(bad(field, Some(path), "the path comes twice", "give it once"));
        }
    }
    Ok(())
}

/// Whether a path has names between slashes alone.
fn is_plain(path: &str) -> bool {
    let plain = |name: &str| !name.is_empty() && name != "." && name != ".." && name.len() <= NAME;
    path.split('/').all(plain) && !path.chars().any(char::is_control)
}

/// What a command line can hold (execve(2)): no NUL, a bounded size.
pub(super) fn check_args(path: &str, args: &[String]) -> Result<(), Refusal> {
    if args.len() > ARGUMENTS {
        return Err(Refusal::too_many(path, args.len(), ARGUMENTS, "arguments"));
    }
    if let Some(at) = args.iter().position(|word| word.contains('\0')) {
        return Err(bad(
            format!("{path}[{at}]"),
            Some(&args[at]),
            "an argument cannot contain a NUL",
            "leave the NUL out",
        ));
    }
    check_size(path, args.iter().map(|word| word.len() + 1).sum())
}

/// The same of an environment.
pub(super) fn check_env(env: &[(String, String)]) -> Result<(), Refusal> {
    if env.len() > VARIABLES {
        return Err(Refusal::too_many("env", env.len(), VARIABLES, "variables"));
    }
    let mut taken = BTreeSet::new();
    for (name, value) in env {
        let field = || member("env", name);
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
            let remedy = "give one of ASCII letters, digits and _, no digit first";
            return Err(bad(field(), Some(name), "it is no name of a variable", remedy));
        }
        if value.contains('\0') {
            return Err(bad(field(), Some(value), "a value cannot contain a NUL", "leave the NUL out"));
        }
        if !taken.insert(name) {
            return Err(bad(field(), Some(value), "the variable comes twice", "give it once"));
        }
    }
    check_size("env", env.iter().map(|(name, value)| name.len() + value.len() + 2).sum())
}

fn check_size(path: &str, size: usize) -> Result<(), Refusal> {
    if size <= WORDS {
        return Ok(());
    }
    let remedy = format!("give at most {WORDS} bytes together");
    Err(bad(path, Some(&size.to_string()), "all of it together is too long", remedy))
}
