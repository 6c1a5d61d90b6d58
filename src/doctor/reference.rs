//! The part of `docs/TROUBLESHOOTING.md` that lists the words of the doctor, made from their list.

use std::fmt::Write as _;

use crate::host::provision::Problem;

/// The heading of that part, with the line end before it.
const HEADING: &str = "\n## The words of the doctor\n";

/// That part, from its heading on.
#[must_use]
pub fn reference() -> String {
    let mut part = format!(
        "{HEADING}\n\
         `casemate doctor --json` has a word for each thing that is wrong, as `problem`: it stays the same from version to version, where\n\
         the sentences beside it may change. This part is generated from `src/host/provision/problem.rs`, a test fails when it is stale, and\n\
         `tests/suite/doctor_problems.rs` makes every one of them for real.\n\n\
         | word | what it means | what mends it |\n|---|---|---|\n"
    );
    for problem in Problem::ALL {
        // Writing into a String cannot fail.
        let _ = writeln!(part, "| `{}` | {} | {} |", problem.id(), problem.what(), problem.mend());
    }
    part
}

/// The page with that part in the place of the one that it has.
#[must_use]
pub fn renewed(page: &str) -> Option<String> {
    let (before, rest) = page.split_once(HEADING)?;
    let after = rest.find("\n## ").map_or("", |at| &rest[at..]);
    Some([before, &reference(), after].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_REFERENCE=1 cargo test reference` writes the part.
    #[test]
    fn the_reference_of_the_words_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/TROUBLESHOOTING.md");
        let stored = std::fs::read_to_string(path).unwrap();
        let page = renewed(&stored).expect("the heading");
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(path, &page).unwrap();
        }
        assert!(std::fs::read_to_string(path).unwrap() == page, "UPDATE_REFERENCE=1 cargo test --lib reference");
    }

    #[test]
    fn only_that_part_is_renewed() {
        let page = "# A\n\n## The words of the doctor\n\nold\n\n## B\n\nb\n";
        let new = renewed(page).unwrap();
        assert!(new.starts_with("# A\n") && new.ends_with("|\n\n## B\n\nb\n") && !new.contains("\nold\n"), "{new}");
        assert_eq!(renewed("# A\n"), None);
    }
}
