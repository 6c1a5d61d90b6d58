//! The page `seccomp/README.md`, made from the built-in files: what is refused, the attack that stops, the test that
//! shows it; what is allowed and who needs it.

use std::fmt::Write as _;

use super::format::{Action, Argument, File, Rule, Test};
use super::manual::manual;
use super::{BUILT_IN, ProfileError, parse};

const HEAD: &str = "# Seccomp profiles

This page is generated from the files beside it; a test fails when it is stale
(`UPDATE_REFERENCE=1 cargo test --lib reference` writes it anew).

A profile says what becomes of each system call of a job. There are three possibilities, and the program sees which one it is:

| | what becomes of the call | what the program sees |
|---|---|---|
| **allowed** | A rule allows it. The kernel carries it out as it would without a filter: ids, mounts and limits still count. | the kernel's own result |
| **refused** | A rule refuses it. It is not carried out, because of the attack that the rule names. | the error EPERM |
| **unknown** | No rule names it, with these arguments. It is not carried out; so it is with every call that is newer than this page. | the error ENOSYS, as on a kernel that has no such call, so that programs fall back to an older one |

Only the native ABI is open. A call through the 32-bit table (`int 0x80`) or the x32 table ends its caller or finds
nothing: `tests/seccomp/live.rs::other_ways_into_the_kernel_are_closed`. What the kernel answers without asking any
filter is not in these tables: clocks by way of the vDSO, and `uprobe` and `uretprobe`, which work from its own pages only.

`compile` is for compile steps, `run` for runs; `run` extends `compile`. A language names another profile with `profile`
in its file: `compile+java` is `compile` with the addition `java`.
";

/// The text of `seccomp/README.md`.
///
/// # Errors
/// When a built-in file cannot be read, which the unit tests exclude.
pub fn reference() -> Result<String, ProfileError> {
    let mut files = Vec::new();
    for (name, text) in BUILT_IN {
        files.push((name, parse(name, text)?));
    }
    let mut page = HEAD.to_owned();
    page.push_str("\n## Refused\n\n| group | what | the attack | seen in |\n|---|---|---|---|\n");
    for rule in all(&files).filter(|rule| rule.action == Action::Refuse) {
        let tests = rule.shown_by.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join(", ");
        line(&mut page, format_args!("| {} | {} | {} | {tests} |", rule.group, what(rule), rule.comment));
    }
    page.push_str("\n## Unknown on purpose\n\n| what | why |\n|---|---|\n");
    for one in files.iter().flat_map(|(_, file)| &file.unknown) {
        line(&mut page, format_args!("| {} | {} |", code(&one.names), one.comment));
    }
    for (name, file) in &files {
        if file.adds.is_empty() {
            let extends = file.extends.as_ref().map(|base| format!(", beyond `{base}`")).unwrap_or_default();
            allowed(&mut page, &format!("`{name}`{extends}"), &file.comment, &file.rules);
        }
        for (base, rules) in &file.adds {
            allowed(&mut page, &format!("`{base}+{name}`, beyond `{base}`"), &file.comment, rules);
        }
    }
    page.push_str(&manual());
    Ok(page)
}

fn all<'a>(files: &'a [(&str, File)]) -> impl Iterator<Item = &'a Rule> {
    files.iter().flat_map(|(_, file)| file.rules.iter().chain(file.adds.values().flatten()))
}

fn allowed(page: &mut String, title: &str, comment: &str, rules: &[Rule]) {
    line(page, format_args!("\n## Allowed in {title}\n\n{comment}\n\n| group | who needs it | what |\n|---|---|---|"));
    for rule in rules.iter().filter(|rule| rule.action == Action::Allow) {
        line(page, format_args!("| {} | {} | {} |", rule.group, rule.comment, what(rule)));
    }
}

/// The calls, and the arguments with which they count.
fn what(rule: &Rule) -> String {
    let conditions: Vec<String> = rule.args.iter().map(condition).collect();
    let with = if conditions.is_empty() { String::new() } else { format!(" with {}", conditions.join("; ")) };
    format!("{}{with}", code(&rule.names))
}

/// The arguments with which a rule counts, as plain text; empty where all do.
pub(super) fn conditions(rule: &Rule) -> String {
    rule.args.iter().map(condition).collect::<Vec<_>>().join("; ").replace('`', "")
}

fn condition(argument: &Argument) -> String {
    let bits = if argument.mask == u64::MAX { String::new() } else { format!(" & {:#x}", argument.mask) };
    let named = argument.named().iter().map(|named| {
        let comment = named.comment.as_ref().map(|comment| format!(" ({comment})")).unwrap_or_default();
        format!("`{}`{comment}", named.name)
    });
    match argument.test {
        Test::Equals(value) => format!("argument {}{bits} = {value:#x}", argument.index),
        Test::Not(value) => format!("argument {} other than {value:#x}", argument.index),
        Test::OneOf(_) | Test::AnyBitOf(_) => named.collect::<Vec<_>>().join(", "),
    }
}

fn code(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ")
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a String cannot fail.
    let _ = writeln!(page, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_REFERENCE=1 cargo test --lib reference` writes the page.
    #[test]
    fn the_reference_page_of_the_profiles_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/seccomp/README.md");
        let page = reference().unwrap();
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        let differs: Vec<&str> = page.lines().filter(|line| !stored.lines().any(|other| other == *line)).collect();
        assert!(stored == page, "UPDATE_REFERENCE=1 cargo test --lib reference; new lines: {differs:#?}");
    }
}
