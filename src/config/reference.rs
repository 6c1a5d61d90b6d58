//! The reference page of the settings, made from the table.

use std::fmt::Write as _;

use super::resolve::variable;
use super::table::{CEILINGS, LIMITS, Preset, rows};

/// One setting, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The key of the file.
    pub key: String,
    /// The variable of the environment.
    pub variable: String,
    /// The default, or where it comes from.
    pub default: String,
    /// What is accepted.
    pub accepts: String,
    /// What it is for.
    pub doc: String,
}

/// Every setting, in the order of the reference page.
#[must_use]
pub fn describe() -> Vec<Description> {
    let rows = rows().map(|row| Description {
        key: row.key.to_owned(),
        variable: variable(row.key),
        default: match row.preset {
            Preset::Text(text) => format!("`{text}`"),
            Preset::Derived(text) => text.to_owned(),
        },
        accepts: row.accepts.to_owned(),
        doc: row.doc.to_owned(),
    });
    let limits = LIMITS.iter().map(|row| Description {
        key: format!("limits.<language>.<step>.{}", row.key),
        variable: format!("CASEMATE_LIMITS__<LANGUAGE>__<STEP>__{}", row.key.to_ascii_uppercase()),
        default: "the language's".to_owned(),
        accepts: format!("a whole number, {} to {}", row.min, row.max),
        doc: row.doc.to_owned(),
    });
    let ceilings = CEILINGS.iter().filter_map(|ceiling| {
        let row = LIMITS.iter().find(|row| row.key == ceiling.key)?;
        Some(Description {
            key: format!("ceilings.<step>.{}", row.key),
            variable: format!("CASEMATE_CEILINGS__<STEP>__{}", row.key.to_ascii_uppercase()),
            default: format!("`{}` for a run, `{}` for a compile step", ceiling.run, ceiling.compile),
            accepts: format!("a whole number, {} to {}", row.min, row.max),
            doc: format!("What a client may ask for at most, unless the language's own is more. {}", row.doc),
        })
    });
    rows.chain(limits).chain(ceilings).collect()
}

/// The text of `docs/SETTINGS.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         This page is generated from the table in `src/config/table.rs`; a test fails when it is stale.\n\n\
         A setting is looked for in the environment, then in the file, then it has its default. The file is TOML:\n\
         `CASEMATE_CONFIG`, else `casemate.toml` in the directory `CASEMATE_SETTINGS` (default `/etc/casemate` for root,\n\
         also once it has become the service account, `~/.config/casemate` for whoever else starts it; the unit names it), where\n\
         it need not exist. In the environment a list has commas between its items. `port`, `max_workers`, `queue_size` and `default_language` can also be given with the prefix\n\
         `CASEMATE_`. Unknown keys and unknown variables with that prefix are refused, and every mistake is reported at once.\n\n\
         `<step>` is `run` or `compile`, `<language>` the name of a language.\n\n\
         | key | variable | default | accepted |\n|---|---|---|---|\n",
    );
    for row in describe() {
        // Writing into a String cannot fail.
        let _ = writeln!(page, "| `{}` | `{}` | {} | {} |", row.key, row.variable, row.default, row.accepts);
    }
    page.push_str("\n## What each is for\n\n");
    for row in describe() {
        let _ = writeln!(page, "- `{}`: {}", row.key, row.doc);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_REFERENCE=1 cargo test reference` writes the page.
    #[test]
    fn the_reference_page_is_not_stale() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SETTINGS.md");
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
            std::fs::write(path, reference()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), reference());
    }
}
