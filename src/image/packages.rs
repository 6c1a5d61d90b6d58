//! Reads lists of installed packages: dpkg's status file (deb-control(5), dpkg-query(1)), which does not become part of an
//! image that is built, and apk's database.

use crate::image::manifest::Package;

/// The installed packages, sorted by name and architecture. Stanzas that say anything but `ok installed`, or lack a name,
/// version or architecture, are passed over.
pub(super) fn installed(status: &[u8]) -> Vec<Package> {
    let text = String::from_utf8_lossy(status);
    let mut packages: Vec<Package> = text.split("\n\n").filter_map(package).collect();
    packages.sort();
    packages.dedup();
    packages
}

/// The packages of apk's database, where each field has one letter (Alpine, "Apk spec"), sorted by name and architecture.
pub(super) fn of_apk(database: &[u8]) -> Vec<Package> {
    let text = String::from_utf8_lossy(database);
    let package = |stanza: &str| {
        let field = |letter: &str| stanza.lines().find_map(|line| line.strip_prefix(letter)).map(str::to_owned);
        Some(Package { name: field("P:")?, version: field("V:")?, architecture: field("A:")? })
    };
    let mut packages: Vec<Package> = text.split("\n\n").filter_map(package).collect();
    packages.sort();
    packages.dedup();
    packages
}

fn package(stanza: &str) -> Option<Package> {
    let field = |name: &str| {
        stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim().to_owned()))
    };
    if !field("Status")?.ends_with(" ok installed") {
        return None;
    }
    Some(Package { name: field("Package")?, version: field("Version")?, architecture: field("Architecture")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_what_is_installed_and_nothing_else() {
        let status =
            b"Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nDescription: x\n Package: no\n\
            Version: 1:1.2.11\n\nPackage: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n\
            Package: base\nStatus: install ok installed\nArchitecture: all\nVersion: 2\n\nPackage: odd\n\n\xff\n";
        let names: Vec<String> =
            installed(status).into_iter().map(|p| format!("{} {} {}", p.name, p.version, p.architecture)).collect();
        assert_eq!(names, ["base 2 all", "zlib1g 1:1.2.11 amd64"]);
    }

    #[test]
    fn lists_what_apk_has() {
        let database =
            b"C:Q1x=\nP:musl\nV:1.2.5-r0\nA:x86_64\nF:lib\nR:libc.so\n\nP:busybox\nV:1.36-r1\nA:x86_64\n\nP:odd\n";
        let names: Vec<String> = of_apk(database).into_iter().map(|p| format!("{} {}", p.name, p.version)).collect();
        assert_eq!(names, ["busybox 1.36-r1", "musl 1.2.5-r0"]);
    }
}
