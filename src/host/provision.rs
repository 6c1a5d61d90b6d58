//! Setting the machine up: what must be there before a server can start, and mending what is not.
//!
//! `look` reads everything into a [`State`]; [`plan`] says what is to be done, as [`Step`]s whose commands are values;
//! [`execute`] runs one as root, directly or through sudo. Nothing here prints, enters a namespace or builds an image.

mod command;
mod delegate;
mod delegation;
mod findings;
mod layout;
mod machine;
mod packages;
mod plan;
mod problem;
mod reboot;
mod setup;
mod state;
mod step;
pub mod systemd;
mod who;

pub use command::{Command, CommandError, Elevation, elevation};
pub use delegate::{DelegateError, Delegated, delegate, delegated};
pub use delegation::{Delegation, UserManager};
pub use findings::{ACCOUNT, CGROUP, Finding, SUBORDINATE_IDS, Standing, findings};
pub(super) use layout::unescape;
pub use layout::{CONTROLLERS, CgroupLayout, NoCgroup};
pub use machine::{Account, Machine, ReadError};
pub use packages::{Found, Need};
pub use plan::{Obstacle, plan};
pub use problem::Problem;
pub use reboot::{Init, Keep};
pub use setup::{Event, SetupError, execute, setup};
pub use state::{Beyond, Home, Ids, Kernel, State, look};
pub use step::Step;
pub use who::{ACCOUNT_HOME, Wanted, Who, WhoError};

/// A look at this machine, in words: what is there, what is missing, what that means and what mends it. Takes a few
/// milliseconds and changes nothing.
///
/// # Errors
/// A file that exists and cannot be read.
pub fn check(wanted: &Wanted, who: &Who) -> Result<Vec<Finding>, ReadError> {
    Ok(findings(&look(&Machine::this(), wanted, who)?, who))
}

/// Where limits can be set on this machine.
///
/// # Errors
/// A file that exists and cannot be read.
pub fn cgroup_layout() -> Result<CgroupLayout, ReadError> {
    let machine = Machine::this();
    let text = |path: &str| machine.text(path).map(Option::unwrap_or_default);
    Ok(CgroupLayout::parse(&text("/proc/self/mountinfo")?, &text("/proc/cgroups")?))
}

/// What the tests of these files share.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ids::IdRange;

    /// A file system of these files, and it as a machine.
    pub(super) fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let guard = tempfile::tempdir().unwrap();
        let machine = Machine::at(guard.path());
        std::fs::create_dir_all(machine.path("/etc")).unwrap();
        for (path, text) in files {
            let path = machine.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            if text.starts_with("#!") {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        (guard, machine)
    }

    pub(super) fn service() -> Who {
        Who::account(&Wanted::default()).unwrap()
    }

    pub(super) fn ordinary() -> Who {
        Who { name: "ann".into(), service: false, uid: Some(1001), home: "/home/ann/.local/share/casemate".into() }
    }

    /// A machine on which nothing is to be done.
    pub(super) fn complete() -> State {
        let range = Some(IdRange { first: 100_000, count: 65_536 });
        let helper = Need { what: "newuidmap", package: "uidmap", purpose: "lends ids" };
        State {
            found: Found { present: vec![(helper, "/usr/bin/newuidmap".into())], ..Found::default() },
            apt: true,
            dpkg_interrupted: false,
            uid: Some(1001),
            home: Home::Ready,
            ids: Ids { uids: range, gids: range, beyond: None, free: None },
            init: Init::Systemd,
            layout: CgroupLayout::V1 {
                memory: "/cg/memory".into(),
                pids: "/cg/pids".into(),
                cpu: "/cg/cpu".into(),
                cpuacct: "/cg/cpuacct".into(),
            },
            delegation: Delegation::Ready,
            keep: None,
            kernel: Kernel { max_user_namespaces: Some(15_000), ..Kernel::default() },
        }
    }
}
