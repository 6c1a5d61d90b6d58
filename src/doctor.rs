//! Whether this machine can do what casemate promises: everything looked at for real, each finding with what it means and
//! what mends it. Looks, and takes back at once what it had to make in order to look; mends nothing (set-up does). What a start
//! by root makes anyway, the cgroup of the account, stays where root asks.
//!
//! Three parts: what can be read (`host::provision`, and `machine` here), what answers when it is called (`runtime`), and
//! what only a trial shows (`trial`: the namespaces, and a container with every limit).

mod machine;
mod outer;
mod reference;
mod runtime;
mod trial;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::config::Settings;
use crate::host::provision::{self, CGROUP, Finding, Problem, ReadError, Standing, Wanted, Who};
use crate::server::{self, Definitions};

pub use outer::outer_filter;
pub use reference::{reference, renewed};
pub use trial::{container, decode, encode, namespaces, not_delegated, not_entered};

/// What can be found out without a namespace, a container or root, in a few milliseconds.
///
/// # Errors
/// A file that exists and cannot be read.
pub fn look(
    settings: &Settings,
    definitions: &Definitions,
    (wanted, who): (&Wanted, &Who),
) -> Result<Vec<Finding>, ReadError> {
    let mut all = provision::check(wanted, who)?;
    for finding in all.iter_mut().filter(|finding| wanted.without_cgroup && finding.name == CGROUP) {
        if finding.standing == Standing::Missing {
            finding.standing = Standing::Advice;
        }
    }
    all.extend(machine::kernel());
    let (kind, path) = (server::wanted(settings.runtime), settings.runtime_path.as_deref());
    all.push(runtime::runtime(kind, path));
    all.extend(runtime::holes(kind, path));
    all.extend(machine::images(settings, definitions));
    all.push(machine::disk(settings));
    all.extend(machine::ports(settings));
    all.push(machine::clients(settings));
    Ok(all)
}

/// Whether the service would start.
#[must_use]
pub fn healthy(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.standing != Standing::Missing)
}

/// A line for each, and what to do below it.
#[must_use]
pub fn lines(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { name, standing, meaning, mend, .. } in findings {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{:<8}{name}: {meaning}", word(*standing));
        text.extend(mend.as_deref().map(mending));
    }
    text
}

/// What to do, as it stands below what is wrong.
#[must_use]
pub fn mending(mend: &str) -> String {
    format!("          to mend it: {mend}\n")
}

/// The whole report.
#[must_use]
pub fn text(findings: &[Finding]) -> String {
    let mut text = lines(findings);
    let missing = findings.iter().filter(|finding| finding.standing == Standing::Missing).count();
    let _ = match missing {
        0 => writeln!(text, "casemate can serve here"),
        n => writeln!(text, "casemate cannot serve here: {n} missing"),
    };
    text
}

/// The same for programs: `{"healthy": …, "findings": [{"name", "standing", "problem", "meaning", "mend"}]}`.
#[must_use]
pub fn to_json(findings: &[Finding]) -> Value {
    let each = findings.iter().map(|finding| {
        json!({
            "name": finding.name,
            "standing": word(finding.standing),
            "problem": finding.problem.map(Problem::id),
            "meaning": finding.meaning,
            "mend": finding.mend,
        })
    });
    json!({ "healthy": healthy(findings), "findings": each.collect::<Vec<_>>() })
}

const fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Ok => "ok",
        Standing::Missing => "missing",
        Standing::Advice => "note",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_is_missing_and_what_mends_it() {
        let all = [
            Finding::ok("a", "there"),
            Finding::advice(Problem::DiskLow, "b", "odd", "look"),
            Finding::missing(Problem::HomeMissing, "c", "gone", "get it"),
        ];
        assert_eq!(
            text(&all),
            "ok      a: there\nnote    b: odd\n          to mend it: look\nmissing c: gone\n          to mend it: get it\n\
             casemate cannot serve here: 1 missing\n"
        );
        assert!(healthy(&all[..2]) && text(&all[..2]).ends_with("casemate can serve here\n"));
        let value = to_json(&all);
        assert_eq!((&value["healthy"], &value["findings"][2]["standing"]), (&json!(false), &json!("missing")));
        assert_eq!((&value["findings"][0]["mend"], &value["findings"][0]["problem"]), (&Value::Null, &Value::Null));
        assert_eq!(value["findings"][2]["problem"], "home-missing");
    }
}
