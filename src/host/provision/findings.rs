//! What was found, in words: for set-up's last look and for a service that cannot start. Pure.

use super::delegation::Delegation;
use super::layout::CgroupLayout;
use super::problem::Problem;
use super::reboot::Init;
use super::state::{Beyond, Home, Ids, State};
use super::who::Who;
use crate::host::ids::{has, words};

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As it should be.
    Ok,
    /// The service cannot do without it.
    Missing,
    /// It works, and there is something to know.
    Advice,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub name: String,
    /// How it stands.
    pub standing: Standing,
    /// What is wrong; nothing where it is as it should be.
    pub problem: Option<Problem>,
    /// What that means.
    pub meaning: String,
    /// What mends it, to be typed; or in words, where no command does.
    pub mend: Option<String>,
}

/// The finding about what limits are enforced by.
pub const CGROUP: &str = "cgroup";

/// The finding about who serves.
pub const ACCOUNT: &str = "account";

/// The finding about the ids that are lent to him.
pub const SUBORDINATE_IDS: &str = "subordinate ids";

const SETUP: &str = "casemate setup";

const WRITABLE: &str = "use a kernel or container with writable cgroups of its own (podman run --security-opt \
                        unmask=/sys/fs/cgroup; Kubernetes: containerd's cgroup_writable)";

impl Finding {
    /// As it should be.
    #[must_use]
    pub fn ok(name: &str, meaning: impl Into<String>) -> Self {
        Self { name: name.to_owned(), standing: Standing::Ok, problem: None, meaning: meaning.into(), mend: None }
    }

    /// The service cannot do without.
    #[must_use]
    pub fn missing(problem: Problem, name: &str, meaning: impl Into<String>, mend: impl Into<String>) -> Self {
        let (problem, mend) = (Some(problem), Some(mend.into()));
        Self { name: name.to_owned(), standing: Standing::Missing, problem, meaning: meaning.into(), mend }
    }

    /// Something to know.
    #[must_use]
    pub fn advice(problem: Problem, name: &str, meaning: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { standing: Standing::Advice, ..Self::missing(problem, name, meaning, mend) }
    }
}

fn ok(name: &str, meaning: impl Into<String>) -> Finding {
    Finding::ok(name, meaning)
}

fn missing(problem: Problem, name: &str, meaning: impl Into<String>, mend: impl Into<String>) -> Finding {
    Finding::missing(problem, name, meaning, mend)
}

/// Everything that was looked at, in the order in which it is needed.
#[must_use]
pub fn findings(state: &State, who: &Who) -> Vec<Finding> {
    let mut all = programs(state);
    all.extend(kernel(state));
    if who.service {
        all.push(match state.uid {
            None => missing(Problem::AccountMissing, ACCOUNT, format!("there is no account {}", who.name), SETUP),
            Some(0) => missing(
                Problem::AccountRoot,
                ACCOUNT,
                format!("{} is root", who.name),
                "name another account with CASEMATE_ACCOUNT (in the file: account)",
            ),
            Some(uid) => ok(ACCOUNT, format!("{} (uid {uid})", who.name)),
        });
    }
    all.push(home(state, who));
    all.push(ids(&state.ids, who));
    all.push(delegation(state, who));
    all.extend(reboot(state, who));
    all
}

fn programs(state: &State) -> Vec<Finding> {
    let found = &state.found;
    let present = found.present.iter().map(|(need, path)| {
        let path_text = path.display().to_string();
        if found.powerless.contains(path) {
            let meaning = format!("{path_text} has no setuid bit or file capability, or lies on a nosuid mount");
            missing(Problem::HelperPowerless, need.what, meaning, SETUP)
        } else {
            ok(short(need.what), path_text)
        }
    });
    let absent = found.missing.iter().map(|need| {
        missing(
            Problem::ProgramMissing,
            short(need.what),
            format!("not found; it {} (package {})", need.purpose, need.package),
            SETUP,
        )
    });
    present.chain(absent).collect()
}

/// The last component of a path, or a program's name.
fn short(what: &'static str) -> &'static str {
    what.rsplit('/').next().unwrap_or(what)
}

fn kernel(state: &State) -> Vec<Finding> {
    let kernel = &state.kernel;
    let name = "user namespaces";
    let mut all = Vec::new();
    if kernel.max_user_namespaces == Some(0) {
        all.push(missing(
            Problem::UsernsNone,
            name,
            "the kernel allows none",
            "sysctl -w user.max_user_namespaces=15000",
        ));
    }
    if kernel.unprivileged_clone == Some(0) {
        all.push(missing(
            Problem::UsernsRoot,
            name,
            "the kernel leaves them to root",
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ));
    }
    let restricted = kernel.apparmor_restricts.is_some_and(|value| value != 0);
    if restricted && kernel.apparmor_profile.is_none() {
        let mend = "load the profile casemate.apparmor that comes with it (docs/OPERATIONS.md), \
                    or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
        all.push(missing(Problem::UsernsApparmor, name, "AppArmor takes their capabilities away", mend));
    }
    if kernel.no_new_privs && !kernel.has_setid {
        let meaning = "this process has no_new_privs set, so newuidmap cannot work";
        let mend = "start it without (systemd: NoNewPrivileges=no; podman and docker: no --security-opt no-new-privileges; \
                    Kubernetes: allowPrivilegeEscalation: true), or as the account that serves with CAP_SETUID and CAP_SETGID \
                    (systemd: AmbientCapabilities=)";
        all.push(missing(Problem::NoNewPrivs, "privileges", meaning, mend));
    }
    if !kernel.lacks.is_empty() {
        let meaning = format!(
            "{} cannot be had here, so that nobody can lend the service its ids and its cgroup",
            kernel.lacks.join(", ")
        );
        let mend = "podman and docker run --cap-add chown,dac_override,setgid,setuid; Kubernetes capabilities.add: [CHOWN, \
                    DAC_OVERRIDE, SETGID, SETUID]; systemd: CapabilityBoundingSet=";
        all.push(missing(Problem::Capabilities, "capabilities", meaning, mend));
    }
    match &kernel.apparmor_profile {
        // A profile may still forbid them; the trial shows that.
        Some(profile) if all.is_empty() => all.push(ok(name, format!("AppArmor profile {profile}"))),
        _ if all.is_empty() => all.push(ok(name, "allowed")),
        _ => {}
    }
    all
}

fn home(state: &State, who: &Who) -> Finding {
    let path = who.home.display();
    match state.home {
        Home::Ready => ok("home", path.to_string()),
        Home::Missing => missing(Problem::HomeMissing, "home", format!("{path} is not there"), SETUP),
        Home::Closed => {
            missing(Problem::HomeClosed, "home", format!("{path} must be open for passing through (mode 0711)"), SETUP)
        }
        Home::Foreign { owner } => missing(
            Problem::HomeForeign,
            "home",
            format!("{path} belongs to uid {owner}"),
            "move it away, or name another home with CASEMATE_HOME (in the file: home)",
        ),
    }
}

fn ids(ids: &Ids, who: &Who) -> Finding {
    match (ids.uids, ids.gids) {
        (Some(uids), Some(gids)) => {
            let meaning = format!("uids from {}, gids from {}, {} each", uids.first, gids.first, uids.count);
            ok(SUBORDINATE_IDS, meaning)
        }
        _ if ids.beyond.is_some() => few(ids.beyond.as_ref(), who),
        _ => missing(
            Problem::IdsMissing,
            SUBORDINATE_IDS,
            format!("{} has no range of 65536 in both /etc/subuid and /etc/subgid", who.name),
            SETUP,
        ),
    }
}

/// A container has what its engine gave it; no set-up within adds to that.
fn few(beyond: Option<&Beyond>, who: &Who) -> Finding {
    let name = SUBORDINATE_IDS;
    let Some(Beyond { file, lent, map }) = beyond else { return missing(Problem::IdsMissing, name, "none", SETUP) };
    let meaning = format!("{file} lends {} {}, and {}", who.name, words(*lent), has(map));
    let mend = "give the container 65536 ids more, in one piece, and lend those: docs/CONTAINERS.md has how (podman: \
                usermod --add-subuids outside; Kubernetes: hostUsers: false, and the kubelet's userNamespaces.idsPerPod)";
    missing(Problem::IdsBeyond, name, meaning, mend)
}

fn delegation(state: &State, who: &Who) -> Finding {
    let name = CGROUP;
    match &state.delegation {
        Delegation::Ready => {
            let directories = state.layout.directories(&who.cgroup_name());
            ok(name, directories.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" "))
        }
        Delegation::AtStart => ok(name, "systemd delegates one when the service starts"),
        Delegation::Incomplete if who.service && state.init == Init::Other => {
            ok(name, "handed over when root starts the service")
        }
        Delegation::Incomplete => {
            missing(Problem::CgroupIncomplete, name, format!("{} may not set limits", who.name), SETUP)
        }
        Delegation::Foreign { directory, owner } => {
            let path = directory.display();
            missing(
                Problem::CgroupForeign,
                name,
                format!("{path} belongs to uid {owner}"),
                format!("rmdir {path}; {SETUP}"),
            )
        }
        Delegation::Nowhere(why) => missing(Problem::CgroupNowhere, name, why.to_string(), WRITABLE),
        Delegation::UserManager(manager) => match manager.lacks() {
            _ if !manager.lingers || manager.controllers.is_none() => {
                missing(Problem::ManagerDown, name, format!("the systemd manager of {} does not run", who.name), SETUP)
            }
            lacks if lacks.is_empty() => ok(name, "the user's systemd manager delegates one when the service starts"),
            lacks => {
                let meaning = format!("systemd does not yet delegate to {}: {}", who.name, lacks.join(", "));
                let mend = if manager.drop_in { "log out of every session and in again, or reboot" } else { SETUP };
                missing(Problem::ManagerNarrow, name, meaning, mend)
            }
        },
    }
}

/// Where nothing makes the delegation again at boot, that is said plainly.
fn reboot(state: &State, who: &Who) -> Option<Finding> {
    let made = matches!(state.delegation, Delegation::Ready | Delegation::Incomplete);
    let advice =
        |meaning: &str, mend: &str| Some(Finding::advice(Problem::RebootLoses, "after a reboot", meaning, mend));
    match (state.init, &state.layout) {
        _ if !made => None,
        (_, CgroupLayout::None(_)) => None,
        (Init::Other, _) if who.service => {
            advice("the cgroup directories are gone; a service started by root makes them again", "casemate serve")
        }
        (Init::Other, _) => advice("the cgroup directories are gone and nothing here makes them again at boot", SETUP),
        _ if state.keep.is_some() => {
            Some(missing(Problem::RebootLoses, "after a reboot", "the cgroup directories would be gone", SETUP))
        }
        _ => Some(ok("after a reboot", "the cgroup directories are made again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ids::IdRange;
    use crate::host::provision::delegation::UserManager;
    use crate::host::provision::layout::NoCgroup;
    use crate::host::provision::tests::{complete, ordinary, service};

    type Change = fn(&mut State);

    fn bad(change: Change) -> Vec<String> {
        let mut state = complete();
        change(&mut state);
        let all = findings(&state, &ordinary()).into_iter();
        all.filter(|finding| finding.standing == Standing::Missing)
            .map(|finding| format!("{}: {} -> {}", finding.name, finding.meaning, finding.mend.unwrap()))
            .collect()
    }

    #[test]
    fn a_complete_machine_misses_nothing() {
        assert_eq!(bad(|_| ()), [""; 0]);
        let all = findings(&complete(), &service());
        assert!(all.iter().any(|finding| finding.name == "account" && finding.standing == Standing::Ok));
    }

    #[test]
    fn every_switch_of_the_kernel_has_its_words() {
        let cases: [(Change, &str); 5] = [
            (|state| state.kernel.max_user_namespaces = Some(0), "user.max_user_namespaces="),
            (|state| state.kernel.unprivileged_clone = Some(0), "kernel.unprivileged_userns_clone=1"),
            (|state| state.kernel.apparmor_restricts = Some(1), "apparmor_restrict_unprivileged_userns=0"),
            (|state| state.kernel.no_new_privs = true, "NoNewPrivileges=no"),
            (|state| state.kernel.lacks = vec!["CAP_SETUID"], "CAP_SETUID cannot be had here"),
        ];
        for (change, want) in cases {
            let lines = bad(change);
            assert!(lines.len() == 1 && lines[0].contains(want), "{lines:?}");
        }
        let mended: [Change; 2] = [
            |state| {
                state.kernel.apparmor_restricts = Some(1);
                state.kernel.apparmor_profile = Some("casemate (unconfined)".to_owned());
            },
            |state| (state.kernel.no_new_privs, state.kernel.has_setid) = (true, true),
        ];
        for change in mended {
            assert_eq!(bad(change), [""; 0]);
        }
    }

    /// A container, or a machine without systemd that was started anew.
    #[test]
    fn what_root_hands_over_at_the_start_is_not_missing() {
        let mut state = complete();
        state.delegation = Delegation::Incomplete;
        state.init = Init::Other;
        let standing = |state: &State, who: &Who| {
            findings(state, who).into_iter().find(|finding| finding.name == CGROUP).map(|finding| finding.standing)
        };
        assert_eq!(standing(&state, &service()), Some(Standing::Ok));
        assert_eq!(standing(&state, &ordinary()), Some(Standing::Missing));
        state.init = Init::SysV;
        assert_eq!(standing(&state, &service()), Some(Standing::Missing), "set-up has it kept");
    }

    #[test]
    fn what_is_missing_names_its_remedy() {
        let cases: [(Change, &str); 6] = [
            (
                |state| {
                    let range = |first, count| IdRange { first, count };
                    let (lent, map) = (range(100_000, 65_536), vec![range(0, 1), range(1, 65_536)]);
                    state.ids.uids = None;
                    state.ids.beyond = Some(Beyond { file: "/etc/subuid", lent, map });
                },
                "subordinate ids: /etc/subuid lends ann 100000 to 165535, and of all ids this container has 0 to 0, 1 to 65536: \
                 none of its pieces has the whole range -> give the container 65536 ids more",
            ),
            (|state| state.ids.gids = None, "subordinate ids: ann has no range of 65536 in both"),
            (|state| state.home = Home::Closed, "must be open for passing through (mode 0711) -> casemate setup"),
            (|state| state.delegation = Delegation::Nowhere(NoCgroup::ReadOnly), "mounted read-only -> "),
            (
                |state| {
                    let controllers = Some(vec!["memory".to_owned(), "pids".to_owned()]);
                    let manager = UserManager { lingers: true, controllers, drop_in: true };
                    state.delegation = Delegation::UserManager(manager);
                },
                "does not yet delegate to ann: cpu -> log out",
            ),
            (
                |state| state.found.powerless = vec!["/usr/bin/newuidmap".into()],
                "newuidmap: /usr/bin/newuidmap has no setuid bit",
            ),
        ];
        for (change, want) in cases {
            let lines = bad(change);
            assert!(lines.len() == 1 && lines[0].contains(want), "{lines:?}");
        }
    }
}
