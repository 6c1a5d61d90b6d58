//! What can be read off the machine: the kernel's filters and features, the images, the disk, the port and who may use it.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use crate::config::{self, Settings};
use crate::host::provision::{Finding, Problem};
use crate::image::{Images, VerifyError};
use crate::server::{Definitions, StartError};
use crate::telemetry::chain;

/// Filters of system calls, and what newer kernels do better. What the service cannot do without is tried, not looked up.
pub(super) fn kernel() -> Vec<Finding> {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let actions = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    let mut all = vec![seccomp(&actions)];
    all.push(later(&release));
    all
}

/// `actions` is the text of the kernel's list (seccomp(2), since Linux 4.14).
fn seccomp(actions: &str) -> Finding {
    let name = "seccomp";
    let lacks: Vec<&str> = ["allow", "errno", "kill_process"]
        .into_iter()
        .filter(|action| !actions.split_whitespace().any(|a| a == *action))
        .collect();
    if lacks.is_empty() {
        return Finding::ok(name, "the kernel filters system calls");
    }
    Finding::missing(
        Problem::SeccompActions,
        name,
        format!("the kernel does not know these answers of a filter: {}", lacks.join(", ")),
        "use a kernel with CONFIG_SECCOMP_FILTER",
    )
}

/// Features that casemate uses where they are there, by the version that brought them.
const LATER: [((u32, u32), &str); 3] = [
    ((5, 14), "cgroup.kill (one write ends a container, where else each process is killed)"),
    ((5, 19), "memory.peak on cgroup v2 (reports have no peak of memory)"),
    ((6, 1), "pids.peak on cgroup v2 (reports have no peak of processes)"),
];

fn later(release: &str) -> Finding {
    let name = "kernel";
    let Some(version) = version(release) else {
        return Finding::advice(
            Problem::KernelOld,
            name,
            format!("{release:?} has no version that can be read"),
            "read on: the trials below decide",
        );
    };
    let lacks: Vec<&str> = LATER.iter().filter(|(since, _)| version < *since).map(|(_, what)| *what).collect();
    if lacks.is_empty() {
        return Finding::ok(name, release);
    }
    let meaning = format!("{release} lacks {}", lacks.join("; "));
    Finding::advice(Problem::KernelOld, name, meaning, "a newer kernel, if that matters to you")
}

/// `6.1.0-9-amd64` is 6.1.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Of each language: whether its image is there and is what was built.
pub(super) fn images(settings: &Settings, definitions: &Definitions) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for language in definitions.languages.iter() {
        let finding = image(&language.image, &language.name, settings, definitions);
        if found.iter().all(|other| other.name != finding.name) {
            found.push(finding);
        }
    }
    found
}

fn image(name: &str, language: &str, settings: &Settings, definitions: &Definitions) -> Finding {
    let title = format!("image {name}");
    let built = definitions.recipes.get(name).is_some();
    let (build, again) = match built {
        true => (format!("casemate image build {name}"), format!("casemate image build {name} --rebuild")),
        false => (
            format!("casemate image import {name} ARCHIVE; or write images/{name}.toml in the settings directory"),
            format!("casemate image import {name} ARCHIVE"),
        ),
    };
    let gone = || {
        let refusal = StartError::no_image(name.to_owned(), language.to_owned(), &definitions.recipes);
        Finding::missing(Problem::ImageMissing, &title, refusal.to_string(), &build)
    };
    // Opening would make the directory.
    if !settings.images.is_dir() {
        return gone();
    }
    let found = Images::open(&settings.images).and_then(|i| Ok((i.named(name, &definitions.recipes)?, i)));
    match found {
        Ok((None, _)) => gone(),
        Ok((Some(image), images)) => match images.check_quick(&image) {
            Ok(()) => Finding::ok(&title, image.digest.to_string()),
            Err(VerifyError::Touched { .. }) => {
                Finding::missing(Problem::ImageChanged, &title, "was changed after it was made", &again)
            }
            Err(error) => unread(&title, &error),
        },
        Err(error) => unread(&title, &error),
    }
}

/// An ordinary user may not be able to read all of what the account may.
fn unread(title: &str, error: &dyn std::error::Error) -> Finding {
    let meaning = format!("cannot be looked at: {}", chain(error));
    Finding::missing(Problem::ImageUnread, title, meaning, "ask again as root, or as whoever serves")
}

/// What the store needs to accept anything, and a run of set-up for images.
pub(super) fn disk(settings: &Settings) -> Finding {
    let name = "disk";
    // Of a home that is not there yet, its parents'.
    let there = settings.home.ancestors().find(|path| path.is_dir()).unwrap_or_else(|| Path::new("/"));
    let shown = settings.home.display();
    match rustix::fs::statvfs(there) {
        Ok(fs) => {
            room(&shown.to_string(), fs.f_bavail.saturating_mul(fs.f_frsize) >> 20, settings.store.reserve.0 >> 20)
        }
        Err(errno) => {
            let meaning = format!("{shown}: {errno}");
            Finding::missing(Problem::DiskFull, name, meaning, "look at the mount, or name another home")
        }
    }
}

/// In MiB.
fn room(home: &str, free: u64, reserve: u64) -> Finding {
    let name = "disk";
    let meaning = format!("{free} MiB are free for {home}");
    match free {
        free if free <= reserve => Finding::missing(
            Problem::DiskFull,
            name,
            format!("{meaning}, and with less than {reserve} nothing is accepted"),
            "make room, or lower store.reserve_mib",
        ),
        free if free < 1024 => {
            let mend = "make room before images are built: they take about 1 GB";
            Finding::advice(Problem::DiskLow, name, meaning, mend)
        }
        _ => Finding::ok(name, meaning),
    }
}

/// Each address: whether it can be listened at.
pub(super) fn ports(settings: &Settings) -> Vec<Finding> {
    let each = settings.listen.iter().map(|ip| {
        let address = SocketAddr::new(*ip, settings.port);
        let title = format!("address {address}");
        match TcpListener::bind(address) {
            Ok(_) => Finding::ok(&title, "free"),
            // The service that is to be looked at may be the one that has it.
            Err(error) => Finding::advice(
                Problem::AddressTaken,
                &title,
                format!("cannot be listened at: {error}"),
                "ss -ltnp shows who has it; PORT and CASEMATE_LISTEN choose another",
            ),
        }
    });
    each.collect()
}

/// Whether it is settled who may submit, in the words of the start.
pub(super) fn clients(settings: &Settings) -> Finding {
    let name = "clients";
    if let Err(refused) = settings.not_anonymous() {
        let words = refused.to_string();
        let (meaning, mend) = words.split_once(": ").unwrap_or((&words, "see `tokens` in the settings"));
        return Finding::missing(Problem::ClientsAnybody, name, meaning.to_owned(), mend);
    }
    let Some(path) = &settings.tokens else { return Finding::ok(name, "nobody is asked for a token") };
    match config::tokens(path, &settings.ceilings) {
        Ok(tokens) => Finding::ok(name, format!("{} tokens", tokens.len())),
        Err(error) => {
            let mend = "correct the file of tokens, or name another with CASEMATE_TOKENS";
            Finding::missing(Problem::TokensUnusable, name, chain(&error), mend)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::provision::Standing;

    #[test]
    fn a_kernel_is_told_by_what_it_lacks() {
        for (release, standing, words) in [
            ("6.18.0-1-amd64", Standing::Ok, "6.18.0"),
            ("6.1", Standing::Ok, "6.1"),
            ("5.15.0", Standing::Advice, "lacks memory.peak"),
            ("5.10.0-30-amd64", Standing::Advice, "lacks cgroup.kill"),
            ("unknown", Standing::Advice, "no version"),
        ] {
            let found = later(release);
            assert!(found.standing == standing && found.meaning.contains(words), "{found:?}");
        }
        assert_eq!(seccomp("kill_process kill_thread trap errno user_notif trace log allow\n").standing, Standing::Ok);
        assert!(seccomp("kill_process allow").meaning.contains(": errno"));
        assert_eq!(seccomp("").standing, Standing::Missing);
    }

    #[test]
    fn a_disk_is_told_by_what_is_free() {
        assert_eq!(room("/h", 5000, 16).standing, Standing::Ok);
        assert_eq!(room("/h", 500, 16).standing, Standing::Advice);
        assert!(room("/h", 16, 16).meaning.contains("nothing is accepted"));
    }
}
