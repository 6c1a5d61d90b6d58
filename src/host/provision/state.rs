//! What is there: one reading of everything that set-up cares about. Reads; changes nothing, starts nothing.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::delegation::{self, Delegation};
use super::layout::CgroupLayout;
use super::machine::{Machine, ReadError, login_def};
use super::packages::{self, Found};
use super::reboot::{self, Init, Keep};
use super::who::{Wanted, Who};
use crate::host::ids::{self, IdRange, Lent, Owner};

/// A machine as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Programs and files.
    pub found: Found,
    /// Whether apt-get is there to install with.
    pub apt: bool,
    /// Whether dpkg was interrupted and must be finished first.
    pub dpkg_interrupted: bool,
    /// Uid of the serving user; `None` when the account does not exist.
    pub uid: Option<u32>,
    /// The directory that everything is kept in.
    pub home: Home,
    /// Subordinate ids.
    pub ids: Ids,
    /// What starts things at boot.
    pub init: Init,
    /// Where limits can be set.
    pub layout: CgroupLayout,
    /// Whether the serving user may set them.
    pub delegation: Delegation,
    /// The file that makes the delegation again at boot, where it is still to be written.
    pub keep: Option<Keep>,
    /// What the kernel allows.
    pub kernel: Kernel,
}

/// The state of the home directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// As it should be: his own, and open for passing through, for the images in it are read under subordinate ids.
    Ready,
    /// Not there, or empty and root's.
    Missing,
    /// His own, with other permissions.
    Closed,
    /// Somebody else's.
    Foreign {
        /// The owner's uid.
        owner: u32,
    },
}

/// The state of `/etc/subuid` and `/etc/subgid`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    /// Range of uids that is there already.
    pub uids: Option<IdRange>,
    /// Range of gids that is there already.
    pub gids: Option<IdRange>,
    /// A range that is lent and cannot be mapped, for this is a container that lacks ids.
    pub beyond: Option<Beyond>,
    /// A range that is free in both files; `None` when there is no room.
    pub free: Option<IdRange>,
}

/// Ids that a container has not, or not in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// Where the range is lent.
    pub file: &'static str,
    /// The range.
    pub lent: IdRange,
    /// What there is.
    pub map: Vec<IdRange>,
}

/// Switches of the kernel that can forbid user namespaces. `None`: the kernel has no such switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// `user.max_user_namespaces`; 0 forbids them.
    pub max_user_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone`; 0 leaves them to root (a patch of Debian's).
    pub unprivileged_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`; 1 leaves them without capabilities to processes that no profile
    /// names (Linux 6.7, and Ubuntu's kernels before).
    pub apparmor_restricts: Option<u64>,
    /// The AppArmor profile of this process, with its mode; `None` where it has none.
    pub apparmor_profile: Option<String>,
    /// Whether this process has no_new_privs set, under which setuid helpers do nothing (prctl(2)).
    pub no_new_privs: bool,
    /// Whether it has what newuidmap and newgidmap need by itself, CAP_SETUID and CAP_SETGID, as the account that serves;
    /// those of root are gone once he has become the account.
    pub has_setid: bool,
    /// Capabilities that are missing for the way to the namespaces, as in containers that drop them: of root for what he does
    /// before he becomes the account, of the bounding set for what newuidmap and newgidmap get.
    pub lacks: Vec<&'static str>,
}

/// CAP_SETGID and CAP_SETUID among the bits of a set of capabilities (capability.h).
const SETID: u64 = 1 << 6 | 1 << 7;

/// What root needs: to hand over cgroups and the home, to become the account, and for the maps.
const OF_ROOT: [(&str, u32); 4] = [("CAP_CHOWN", 0), DAC_OVERRIDE, ("CAP_SETGID", 6), ("CAP_SETUID", 7)];

/// To make a cgroup for each start in the one that was handed over, on v2 where systemd does not do it.
const DAC_OVERRIDE: (&str, u32) = ("CAP_DAC_OVERRIDE", 1);

/// Reads everything.
///
/// # Errors
/// A file that exists and cannot be read.
pub fn look(machine: &Machine, wanted: &Wanted, who: &Who) -> Result<State, ReadError> {
    let accounts = machine.accounts()?;
    let uid = who.uid.or_else(|| accounts.iter().find(|account| account.name == who.name).map(|account| account.uid));
    let init = reboot::init(machine)?;
    let layout = CgroupLayout::parse(
        &machine.text("/proc/self/mountinfo")?.unwrap_or_default(),
        &machine.text("/proc/cgroups")?.unwrap_or_default(),
    );
    let keep = match reboot::keep(init, &layout, &who.cgroup_name(), &who.name) {
        Some(keep) if !keep.done(machine)? => Some(keep),
        _ => None,
    };
    Ok(State {
        found: packages::look(machine, wanted.runc),
        apt: machine.program("apt-get").is_some(),
        dpkg_interrupted: std::fs::read_dir(machine.path("/var/lib/dpkg/updates"))
            .is_ok_and(|mut dir| dir.next().is_some()),
        uid,
        home: home(machine, &who.home, uid)?,
        ids: look_ids(
            machine,
            Owner { name: &who.name, uid },
            accounts.iter().flat_map(|account| [account.uid, account.gid]),
        )?,
        init,
        delegation: delegation::look(machine, &layout, init, who, uid)?,
        kernel: kernel(machine, who, init != Init::Systemd && matches!(layout, CgroupLayout::V2 { .. }))?,
        layout,
        keep,
    })
}

fn home(machine: &Machine, path: &Path, uid: Option<u32>) -> Result<Home, ReadError> {
    let path = machine.path(path);
    let meta = match std::fs::symlink_metadata(&path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Home::Missing),
        Err(source) => return Err(ReadError { path, source }),
    };
    let owner = meta.uid();
    let empty = || std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none());
    Ok(if !meta.is_dir() {
        Home::Foreign { owner }
    } else if Some(owner) == uid {
        // Open for passing through, writable for nobody else.
        if meta.mode() & 0o133 == 0o111 { Home::Ready } else { Home::Closed }
    } else if owner == 0 && empty() {
        Home::Missing
    } else {
        Home::Foreign { owner }
    })
}

/// Ids that a directory service keeps elsewhere are not seen: `/etc/login.defs` is where an administrator keeps the
/// range clear of them.
fn look_ids(machine: &Machine, owner: Owner<'_>, accounts: impl Iterator<Item = u32>) -> Result<Ids, ReadError> {
    let subuid = ids::parse(&machine.text("/etc/subuid")?.unwrap_or_default());
    let subgid = ids::parse(&machine.text("/etc/subgid")?.unwrap_or_default());
    let defs = machine.text("/etc/login.defs")?.unwrap_or_default();
    // Defaults of login.defs(5). One range for both files is easier to read, so it must suit both.
    let bound = |kind, end, default| login_def(&defs, &format!("SUB_{kind}_{end}")).unwrap_or(default);
    let min = bound("UID", "MIN", 100_000).max(bound("GID", "MIN", 100_000));
    let max = bound("UID", "MAX", 600_100_000).min(bound("GID", "MAX", 600_100_000));
    let lent = subuid.iter().chain(&subgid).map(|entry| entry.range);
    let taken: Vec<_> = lent.chain(accounts.map(|first| IdRange { first, count: 1 })).collect();
    let map = |file: &str| Ok(ids::mapped(&machine.text(file)?.unwrap_or_default()));
    let maps = [map("/proc/self/uid_map")?, map("/proc/self/gid_map")?];
    let found = [ids::range_for(&subuid, owner, &maps[0]), ids::range_for(&subgid, owner, &maps[1])];
    let beyond = |(file, (found, map)): (&'static str, (&Lent, &Vec<IdRange>))| match found {
        Lent::Beyond(lent) => Some(Beyond { file, lent: *lent, map: map.clone() }),
        Lent::Range(_) | Lent::Nothing => None,
    };
    Ok(Ids {
        uids: found[0].range(),
        gids: found[1].range(),
        beyond: ["/etc/subuid", "/etc/subgid"].into_iter().zip(found.iter().zip(&maps)).find_map(beyond),
        free: ids::find_free(&taken, min, max),
    })
}

/// `divides`: whether root himself makes cgroups in what he has handed over.
fn kernel(machine: &Machine, who: &Who, divides: bool) -> Result<Kernel, ReadError> {
    let status = machine.text("/proc/self/status")?.unwrap_or_default();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let set = |name: &str| field(name).and_then(|bits| u64::from_str_radix(bits, 16).ok());
    let permitted = set("CapPrm:").unwrap_or_default();
    let has_setid = !who.service && permitted & SETID == SETID;
    // A file that does not say it lacks nothing.
    let bounds = set("CapBnd:").unwrap_or(u64::MAX);
    let own = if who.service { set("CapEff:").unwrap_or(u64::MAX) } else { u64::MAX };
    let needed = OF_ROOT
        .into_iter()
        .filter(|(_, bit)| who.service || !has_setid && SETID & 1 << bit != 0)
        .filter(|one| divides || *one != DAC_OVERRIDE);
    // Reading it fails where AppArmor is not the kernel's.
    let label = machine.text("/proc/self/attr/apparmor/current").ok().flatten().unwrap_or_default();
    let label = label.trim_matches(['\0', '\n']);
    Ok(Kernel {
        max_user_namespaces: machine.number("/proc/sys/user/max_user_namespaces"),
        unprivileged_clone: machine.number("/proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restricts: machine.number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        apparmor_profile: (!matches!(label, "" | "unconfined")).then(|| label.to_owned()),
        no_new_privs: field("NoNewPrivs:") == Some("1"),
        has_setid,
        lacks: needed.filter(|(_, bit)| bounds & own & 1 << bit == 0).map(|(name, _)| name).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::provision::tests::{ordinary, service, tree};

    #[test]
    fn an_empty_machine_lacks_everything_and_nothing_fails() {
        let (_guard, machine) = tree(&[]);
        let state = look(&machine, &Wanted::default(), &service()).unwrap();
        assert_eq!((state.uid, state.apt, state.init), (None, false, Init::Other));
        assert_eq!(
            state.ids,
            Ids { uids: None, gids: None, beyond: None, free: Some(IdRange { first: 100_000, count: 65_536 }) }
        );
        assert_eq!(state.home, Home::Missing);
        assert!(matches!(state.layout, CgroupLayout::None(_)));
    }

    #[test]
    fn a_free_range_avoids_both_files_and_the_accounts() {
        let (_guard, machine) = tree(&[
            ("/etc/passwd", "far:x:365536:5::/:\ncasemate:x:998:998::/:\n"),
            ("/etc/subuid", "ann:165536:65536\n"),
            ("/etc/subgid", "bob:231072:65536\ncasemate:900000:65536\n"),
            ("/etc/login.defs", "SUB_UID_MIN 120000\nSUB_GID_MIN 150000\n"),
        ]);
        let state = look(&machine, &Wanted::default(), &service()).unwrap();
        assert_eq!(state.uid, Some(998));
        assert_eq!(state.ids.uids, None);
        assert_eq!(state.ids.gids.map(|range| range.first), Some(900_000));
        assert_eq!(state.ids.free.map(|range| range.first), Some(296_608));
    }

    #[test]
    fn the_process_says_what_it_may() {
        const STATUS: &str = "Name:\tcasemate\nCapInh:\t0000000000000000\nCapPrm:\t00000000000000c0\nNoNewPrivs:\t1\n";
        let (_guard, machine) =
            tree(&[("/proc/self/status", STATUS), ("/proc/self/attr/apparmor/current", "casemate (unconfined)\n")]);
        let found = kernel(&machine, &ordinary(), true).unwrap();
        assert_eq!((found.no_new_privs, found.has_setid), (true, true));
        assert_eq!(found.apparmor_profile.as_deref(), Some("casemate (unconfined)"));
        // Root gives up what he has.
        assert!(!kernel(&machine, &service(), true).unwrap().has_setid);
        let (_guard, machine) = tree(&[
            ("/proc/self/status", &STATUS.replace("c0", "80")),
            ("/proc/self/attr/apparmor/current", "unconfined\n"),
        ]);
        let found = kernel(&machine, &ordinary(), true).unwrap();
        assert_eq!((found.has_setid, found.apparmor_profile), (false, None));
    }

    #[test]
    fn capabilities_that_a_container_has_dropped_are_told() {
        let lacks = |bounds: &str, effective: &str, who: &Who| {
            let status = format!("CapPrm:\t{effective}\nCapEff:\t{effective}\nCapBnd:\t{bounds}\n");
            let (_guard, machine) = tree(&[("/proc/self/status", &status)]);
            kernel(&machine, who, true).unwrap().lacks
        };
        let (_guard, machine) = tree(&[("/proc/self/status", "CapEff:\tc1\nCapBnd:\tc1\n")]);
        assert_eq!(kernel(&machine, &service(), false).unwrap().lacks, [""; 0], "what systemd or v1 has ready");
        assert_eq!(lacks("c3", "c3", &service()), [""; 0]);
        assert_eq!(lacks("80", "80", &service()), ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_SETGID"]);
        assert_eq!(lacks("ff", "c1", &service()), ["CAP_DAC_OVERRIDE"]);
        assert_eq!(lacks("c0", "0", &ordinary()), [""; 0], "a setuid helper gets them");
        assert_eq!(lacks("0", "0", &ordinary()), ["CAP_SETGID", "CAP_SETUID"]);
        assert_eq!(lacks("0", "c0", &ordinary()), [""; 0], "they were handed down");
    }

    #[test]
    fn a_home_is_his_own_and_open_for_passing_through() {
        use std::os::unix::fs::PermissionsExt;
        let (_guard, machine) = tree(&[("/home/x/file", "")]);
        let me = rustix::process::geteuid().as_raw();
        let seen = |mode| {
            std::fs::set_permissions(machine.path("/home/x"), std::fs::Permissions::from_mode(mode)).unwrap();
            home(&machine, Path::new("/home/x"), Some(me)).unwrap()
        };
        assert_eq!([0o711, 0o755, 0o700, 0o777].map(seen), [Home::Ready, Home::Ready, Home::Closed, Home::Closed]);
        let other = home(&machine, Path::new("/home/x"), Some(me + 1)).unwrap();
        assert_eq!(other, Home::Foreign { owner: me });
        assert_eq!(home(&machine, Path::new("/home/y"), Some(me)).unwrap(), Home::Missing);
    }
}
