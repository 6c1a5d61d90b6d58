//! The OCI runtime: whether it answers, can filter, and has holes that are known and were closed later. A distribution
//! mends an old version without another number; what its changelog names is mended.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::provision::{Finding, Problem};
use crate::runtime::{Kind, find};

/// Three numbers, and which candidate of that release it is; the release itself comes after all of them.
type Version = [u32; 4];

const RELEASE: u32 = u32::MAX;

/// A hole that is known: where it was closed, as versions from which on a line of releases does not have it.
struct Hole {
    kind: Kind,
    id: &'static str,
    /// The first version that has it.
    since: Version,
    /// In each line of releases (the first two numbers) the first without; lines after the last have it not.
    closed: &'static [Version],
    what: &'static str,
}

/// A selection, from the advisories of the runtimes. What a job can do with each is less than what they say, for it chooses neither its
/// image nor its configuration; that is no reason to keep it.
const HOLES: [Hole; 5] = [
    Hole {
        kind: Kind::Runc,
        id: "CVE-2019-5736",
        since: [0; 4],
        closed: &[[1, 0, 0, RELEASE]],
        what: "a container overwrites the runtime's own binary",
    },
    Hole {
        kind: Kind::Runc,
        id: "CVE-2021-30465",
        since: [0; 4],
        closed: &[[1, 0, 0, RELEASE]],
        what: "a race of symbolic links mounts the host",
    },
    Hole {
        kind: Kind::Runc,
        id: "CVE-2024-21626",
        since: [1, 0, 0, RELEASE],
        closed: &[[1, 1, 12, RELEASE]],
        what: "a descriptor of the host's stays open in the container",
    },
    Hole {
        kind: Kind::Runc,
        id: "CVE-2025-31133",
        since: [0; 4],
        closed: &[[1, 2, 8, RELEASE], [1, 3, 3, RELEASE], [1, 4, 0, 3]],
        what: "masked paths can be made to mount what they should hide",
    },
    Hole {
        kind: Kind::Runc,
        id: "CVE-2025-52881",
        since: [0; 4],
        closed: &[[1, 2, 8, RELEASE], [1, 3, 3, RELEASE], [1, 4, 0, 3]],
        what: "writes to /proc can be redirected while a container starts",
    },
];

/// Whether there is one that can do what is asked of it.
pub(super) fn runtime(wanted: Option<Kind>, path: Option<&Path>) -> Finding {
    let name = "runtime";
    match find(wanted, path) {
        Err(error) => {
            let meaning = crate::telemetry::chain(&error);
            Finding::missing(Problem::RuntimeUnusable, name, meaning, "casemate setup, or another runtime_path")
        }
        Ok((kind, program, version)) => {
            let said = output(&program, &["--version"]);
            if filters(kind, &said) {
                return Finding::ok(name, format!("{} ({version})", program.display()));
            }
            let meaning = format!("{} was built without seccomp ({version})", program.display());
            let mend = "install a distribution's own crun or runc";
            Finding::missing(Problem::RuntimeWithoutSeccomp, name, meaning, mend)
        }
    }
}

/// crun lists its features with `+`, runc names its libseccomp.
fn filters(kind: Kind, said: &str) -> bool {
    match kind {
        Kind::Crun => said.split_whitespace().any(|word| word == "+SECCOMP"),
        Kind::Runc => said.lines().any(|line| line.starts_with("libseccomp:")),
    }
}

/// A note for each hole that this version has.
pub(super) fn holes(wanted: Option<Kind>, path: Option<&Path>) -> Vec<Finding> {
    let Ok((kind, program, said)) = find(wanted, path) else { return Vec::new() };
    let changelog = changelog(&program);
    open(kind, &said, &changelog)
        .into_iter()
        .map(|hole| {
            let meaning = format!("{said} has {}: {}", hole.id, hole.what);
            let mend = format!("apt-get install --only-upgrade {}, or a later release of {}", kind.name(), kind.name());
            Finding::advice(Problem::RuntimeHole, "known holes", meaning, mend)
        })
        .collect()
}

/// `said` is the first line of `--version`, `changelog` that of the package which the program comes from.
fn open<'a>(kind: Kind, said: &str, changelog: &str) -> Vec<&'a Hole> {
    let Some(version) = version(said) else { return Vec::new() };
    let has = |hole: &&Hole| hole.kind == kind && affected(version, hole) && !changelog.contains(hole.id);
    HOLES.iter().filter(has).collect()
}

fn affected(version: Version, hole: &Hole) -> bool {
    let line = |version: Version| (version[0], version[1]);
    let closed = match hole.closed.iter().find(|closed| line(**closed) == line(version)) {
        Some(closed) => version >= *closed,
        None => hole.closed.last().is_some_and(|last| version > *last),
    };
    version >= hole.since && !closed
}

/// `runc version 1.1.5+ds1` is 1.1.5, `1.4.0-rc.2` the second candidate of 1.4.0; one without a number is the first.
fn version(said: &str) -> Option<Version> {
    let text = said.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let numbers = |text: &str| {
        let parts = text.split(|c: char| !c.is_ascii_digit()).map(str::to_owned).collect::<Vec<_>>();
        parts.into_iter().map_while(|part| part.parse::<u32>().ok())
    };
    let mut found = numbers(text);
    let candidate = text.split_once("-rc").or_else(|| text.split_once("~rc"));
    let candidate = candidate.map(|(_, rest)| numbers(rest.trim_start_matches('.')).next().unwrap_or(1));
    Some([found.next()?, found.next()?, found.next().unwrap_or(0), candidate.unwrap_or(RELEASE)])
}

/// The changelog of the Debian package that the program belongs to; empty where it belongs to none. A program that
/// somebody put elsewhere is none of the distribution's.
fn changelog(program: &Path) -> String {
    let found = output(Path::new("dpkg-query"), &["--search", &program.display().to_string()]);
    let Some((package, _)) = found.lines().next().and_then(|line| line.split_once(':')) else { return String::new() };
    let place = PathBuf::from("/usr/share/doc").join(package).join("changelog.Debian.gz");
    // gzip is essential in Debian.
    output(Path::new("gzip"), &["--decompress", "--stdout", &place.display().to_string()])
}

/// What a program prints; nothing where it cannot be started or fails.
fn output(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let good = output.ok().filter(|output| output.status.success());
    good.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_told_by_the_version_unless_the_changelog_says_that_it_is_closed() {
        let ids = |said, changelog| open(Kind::Runc, said, changelog).iter().map(|hole| hole.id).collect::<Vec<_>>();
        let late = ["CVE-2025-31133", "CVE-2025-52881"];
        assert_eq!(ids("runc version 1.1.5+ds1", ""), ["CVE-2024-21626", late[0], late[1]]);
        assert_eq!(ids("runc version 1.1.5+ds1", "* CVE-2024-21626: breakouts"), late);
        assert_eq!(ids("runc version 1.1.12", ""), late);
        assert_eq!(ids("runc version 1.2.7", ""), late);
        assert_eq!(ids("runc version 1.2.8", ""), [""; 0]);
        assert_eq!(ids("runc version 1.3.2", ""), late);
        assert_eq!(ids("runc version 1.4.0-rc.1", ""), late);
        assert_eq!(ids("runc version 1.4.0-rc.2+ds", ""), late);
        assert_eq!(ids("runc version 1.4.0~rc3", ""), [""; 0]);
        assert_eq!(ids("runc version 1.3.0-rc.1", ""), late);
        assert_eq!(ids("runc version 1.4.0", ""), [""; 0]);
        assert_eq!(ids("runc version 1.0.0-rc5", "").len(), 4, "before the first that leaked a descriptor");
        assert_eq!(ids("runc version unknown", ""), [""; 0]);
        assert!(open(Kind::Crun, "crun version 1.8.1", "").is_empty());
    }

    #[test]
    fn a_runtime_that_cannot_filter_is_told() {
        assert!(filters(Kind::Crun, "crun version 1.8.1\n+SYSTEMD +SECCOMP +EBPF\n"));
        assert!(!filters(Kind::Crun, "crun version 1.8.1\n+SYSTEMD -SECCOMP\n"));
        assert!(filters(Kind::Runc, "runc version 1\nlibseccomp: 2.5.4\n") && !filters(Kind::Runc, "runc version 1\n"));
        let found = runtime(None, Some(Path::new("/bin/cat")));
        assert!(found.meaning.contains("neither crun nor runc"), "{found:?}");
    }
}
