//! What the service has in hand when it starts: the directories that are its own, made again by root where a reboot took
//! them. Hands over; enforces no limit (`cgroup` does).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::command::{CommandError, Elevation};
use super::delegation::{self, Delegation};
use super::layout::{CgroupLayout, NoCgroup};
use super::machine::{Machine, ReadError};
use super::reboot;
use super::setup::execute;
use super::step::Step;
use super::systemd;
use super::who::Who;

/// cgroup directories that belong to the serving user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delegated {
    /// A subtree of the one hierarchy. Nothing below it exists, and its controllers are not yet switched on for children:
    /// that takes a directory without processes.
    V2 {
        /// Its top.
        directory: PathBuf,
        /// Whether this process is in it already, in the top itself.
        inside: bool,
    },
    /// One directory in each hierarchy; equal paths where controllers are mounted together.
    V1 {
        /// Of the memory controller.
        memory: PathBuf,
        /// Of the pids controller.
        pids: PathBuf,
        /// Of the cpu controller.
        cpu: PathBuf,
        /// Of the cpuacct controller.
        cpuacct: PathBuf,
    },
    /// None, and the service is to do without.
    Nothing,
}

/// Why no cgroup is the serving user's.
#[derive(Debug, Error)]
pub enum DelegateError {
    /// Looking failed.
    #[error("cannot look at the cgroups of this machine")]
    Look(#[from] ReadError),
    /// There is no hierarchy.
    #[error("no limit can be set: {0}")]
    Nowhere(NoCgroup),
    /// It has not been handed over.
    #[error("no cgroup has been handed to {user}; run `casemate setup`")]
    NotDelegated {
        /// The serving user.
        user: String,
    },
    /// It is in other hands.
    #[error("cgroup {directory} belongs to uid {owner}, not to {user}; remove it (rmdir) and run `casemate setup`")]
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// Its owner.
        owner: u32,
        /// The serving user.
        user: String,
    },
    /// Under systemd, outside a scope or service of ours: start again by [`systemd::scope_call`].
    #[error("this process is in no cgroup of its own; it has to be started in a systemd scope")]
    NotInScope,
    /// A command of the delegation failed.
    #[error("cannot hand the cgroup over")]
    Command(#[source] CommandError),
    /// A file of the scope could not be handed over, or the process not moved.
    #[error("cannot hand over {path}")]
    HandOver {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Hands `who` his cgroup, making what is not there; to be called as root, before privileges are dropped. Costs nothing
/// but a look where everything is there. Under systemd on v2 it is the scope that this process is in.
///
/// # Errors
/// See [`DelegateError`].
pub fn delegate(who: &Who) -> Result<Delegated, DelegateError> {
    let machine = Machine::this();
    let seen = Seen::look(&machine, who)?;
    match seen.delegation {
        Delegation::Incomplete => {
            let (layout, name, user) = (seen.layout.clone(), who.cgroup_name(), who.name.clone());
            execute(&Step::Delegate { layout, name, user }, Elevation::Root).map_err(DelegateError::Command)?;
            Seen::look(&machine, who)?.delegated(who)
        }
        Delegation::AtStart => {
            let found = seen.delegated(who)?;
            if let (Delegated::V2 { directory, .. }, Some((uid, gid))) = (&found, seen.owner) {
                hand_over(directory, uid, gid)?;
            }
            Ok(found)
        }
        _ => seen.delegated(who),
    }
}

/// The cgroup that is `who`'s already. Looks only.
///
/// # Errors
/// See [`DelegateError`].
pub fn delegated(who: &Who) -> Result<Delegated, DelegateError> {
    Seen::look(&Machine::this(), who)?.delegated(who)
}

/// The files that cgroups(7) lists for a delegation, and the directory last.
fn hand_over(directory: &Path, uid: u32, gid: u32) -> Result<(), DelegateError> {
    for file in ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads", ""] {
        let path = directory.join(file);
        std::os::unix::fs::chown(&path, Some(uid), Some(gid))
            .map_err(|source| DelegateError::HandOver { path, source })?;
    }
    Ok(())
}

impl Delegated {
    /// Moves this process into the child `name` of the delegated subtree, which then belongs to `uid` and `gid`. Only on
    /// v2, where a process can be brought into a subtree by none but root (it needs to write to the common ancestor); on
    /// v1 there is nothing to do.
    ///
    /// # Errors
    /// The child cannot be made, handed over or entered.
    pub fn enter(&self, name: &str, uid: u32, gid: u32) -> Result<(), DelegateError> {
        let Self::V2 { directory, .. } = self else { return Ok(()) };
        let child = directory.join(name);
        let fail = |path: PathBuf| move |source| DelegateError::HandOver { path, source };
        match fs::create_dir(&child) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail(child)(error)),
            _ => {}
        }
        hand_over(&child, uid, gid)?;
        // 0 is whoever writes (cgroups(7)).
        fs::write(child.join("cgroup.procs"), "0").map_err(fail(child))
    }
}

struct Seen {
    layout: CgroupLayout,
    delegation: Delegation,
    cgroup: String,
    owner: Option<(u32, u32)>,
}

impl Seen {
    fn look(machine: &Machine, who: &Who) -> Result<Self, ReadError> {
        let account = machine.accounts()?.into_iter().find(|account| account.name == who.name);
        let owner = account.map(|account| (account.uid, account.gid));
        let layout = CgroupLayout::parse(
            &machine.text("/proc/self/mountinfo")?.unwrap_or_default(),
            &machine.text("/proc/cgroups")?.unwrap_or_default(),
        );
        let uid = who.uid.or(owner.map(|(uid, _)| uid));
        let delegation = delegation::look(machine, &layout, reboot::init(machine)?, who, uid)?;
        Ok(Self { layout, delegation, cgroup: machine.text("/proc/self/cgroup")?.unwrap_or_default(), owner })
    }

    fn delegated(&self, who: &Who) -> Result<Delegated, DelegateError> {
        let name = who.cgroup_name();
        match (&self.delegation, &self.layout) {
            (Delegation::Nowhere(why), _) | (_, CgroupLayout::None(why)) => Err(DelegateError::Nowhere(*why)),
            (Delegation::Foreign { directory, owner }, _) => {
                Err(DelegateError::Foreign { directory: directory.clone(), owner: *owner, user: who.name.clone() })
            }
            (Delegation::Incomplete, _) => Err(DelegateError::NotDelegated { user: who.name.clone() }),
            (Delegation::AtStart | Delegation::UserManager(_), CgroupLayout::V2 { mount }) => {
                let own = systemd::own_path(&self.cgroup).filter(|path| systemd::is_ours(path));
                let own = own.ok_or(DelegateError::NotInScope)?;
                Ok(Delegated::V2 { directory: mount.join(own.strip_prefix("/").unwrap_or(&own)), inside: true })
            }
            (_, CgroupLayout::V2 { mount }) => Ok(Delegated::V2 { directory: mount.join(name), inside: false }),
            (_, CgroupLayout::V1 { memory, pids, cpu, cpuacct }) => Ok(Delegated::V1 {
                memory: memory.join(&name),
                pids: pids.join(&name),
                cpu: cpu.join(&name),
                cpuacct: cpuacct.join(&name),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::provision::tests::{ordinary, tree};

    fn found(cgroup: &str) -> Result<Delegated, DelegateError> {
        let (_guard, machine) = tree(&[
            ("/proc/self/mountinfo", "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n"),
            ("/run/systemd/system/x", ""),
            ("/proc/self/cgroup", cgroup),
        ]);
        Seen::look(&machine, &ordinary()).unwrap().delegated(&ordinary())
    }

    #[test]
    fn under_systemd_only_a_unit_of_ours_will_do() {
        let scope = found("0::/user.slice/casemate-9.scope\n").unwrap();
        assert_eq!(scope, Delegated::V2 { directory: "/cg/user.slice/casemate-9.scope".into(), inside: true });
        let session = found("0::/user.slice/session-3.scope\n");
        assert!(matches!(session, Err(DelegateError::NotInScope)), "{session:?}");
    }

    /// Needs root and writable v1 hierarchies; elsewhere it has nothing to show.
    #[test]
    fn root_makes_again_what_a_reboot_took() {
        let who = Who { name: "daemon".into(), uid: Some(1), ..ordinary() };
        let seen = Seen::look(&Machine::this(), &who).unwrap();
        let v1 = matches!(seen.layout, CgroupLayout::V1 { .. });
        if !rustix::process::geteuid().is_root() || !v1 || seen.delegation != Delegation::Incomplete {
            return;
        }
        assert!(matches!(delegated(&who), Err(DelegateError::NotDelegated { .. })));
        let made = delegate(&who);
        let again = delegated(&who);
        for directory in seen.layout.directories(&who.cgroup_name()) {
            fs::remove_dir(directory).unwrap();
        }
        assert_eq!(made.unwrap(), again.unwrap());
    }

    #[test]
    fn entering_makes_a_child_and_writes_the_caller_into_it() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let (guard, _machine) = tree(&[
            ("/top/service/cgroup.procs", ""),
            ("/top/service/cgroup.subtree_control", ""),
            ("/top/service/cgroup.threads", ""),
        ]);
        let top = guard.path().join("top");
        Delegated::V2 { directory: top.clone(), inside: false }.enter("service", 998, 997).unwrap();
        assert_eq!(fs::read_to_string(top.join("service/cgroup.procs")).unwrap(), "0");
        use std::os::unix::fs::MetadataExt;
        let meta = fs::metadata(top.join("service")).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (998, 997));
    }
}
