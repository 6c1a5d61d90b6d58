//! From what was found to what is to be done. Pure: the same state gives the same steps.

use std::path::PathBuf;

use thiserror::Error;

use super::delegation::Delegation;
use super::state::{Beyond, Home, State};
use super::step::{Step, make_home};
use super::who::Who;
use crate::host::ids::{has, words};

/// Something that set-up must not or cannot mend.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Obstacle {
    /// Not a Debian-like system.
    #[error("there is no apt-get here; install these yourself and set up again: {}", programs.join(", "))]
    NoAptGet {
        /// Names of programs and files, not of packages.
        programs: Vec<String>,
    },
    /// The account of the settings is root under another name.
    #[error("account `{name}` has uid 0; the service never runs as root, name another account")]
    RootAccount {
        /// Its name.
        name: String,
    },
    /// The home directory is in other hands.
    #[error("{path} {what}; move it away, or name another home with CASEMATE_HOME (in the file: home)")]
    ForeignHome {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A container that has fewer ids than the service is to be lent.
    #[error(
        "{} lends {user} {}, and {}; give the container more: docs/CONTAINERS.md has how", beyond.file,
        words(beyond.lent), has(&beyond.map)
    )]
    FewIds {
        /// To whom they are lent.
        user: String,
        /// What is missing.
        beyond: Beyond,
    },
    /// Every id is taken.
    #[error("no 65536 subordinate ids are free between SUB_UID_MIN and SUB_UID_MAX of /etc/login.defs")]
    NoFreeIds,
    /// A cgroup of our name is in other hands.
    #[error(
        "cgroup {directory} belongs to uid {owner} and was not made for this; remove it (rmdir), or serve as its owner"
    )]
    ForeignCgroup {
        /// The directory.
        directory: PathBuf,
        /// Its owner.
        owner: u32,
    },
}

/// What is to be done for `who`, in order; empty where everything is there.
///
/// # Errors
/// The first thing in the way.
pub fn plan(state: &State, who: &Who) -> Result<Vec<Step>, Obstacle> {
    if state.uid == Some(0) {
        return Err(Obstacle::RootAccount { name: who.name.clone() });
    }
    let mut steps = Vec::new();
    steps.extend(packages(state)?);
    if who.service && state.uid.is_none() {
        steps.push(Step::AddAccount { name: who.name.clone() });
    }
    match state.home {
        Home::Ready => {}
        Home::Missing | Home::Closed => steps.push(make_home(who)),
        Home::Foreign { owner } => {
            let own = Some(owner) == state.uid;
            let what = if own { "is no directory".to_owned() } else { format!("belongs to uid {owner}") };
            return Err(Obstacle::ForeignHome { path: who.home.clone(), what });
        }
    }
    steps.extend(ids(state, who)?);
    steps.extend(delegation(state, who)?);
    if let Some(keep) = &state.keep {
        steps.push(Step::KeepDelegation(keep.clone()));
    }
    Ok(steps)
}

fn packages(state: &State) -> Result<Option<Step>, Obstacle> {
    let found = &state.found;
    if found.missing.is_empty() && found.powerless.is_empty() {
        return Ok(None);
    }
    if !state.apt {
        let missing = found.missing.iter().map(|need| need.what.to_owned());
        let powerless = found.powerless.iter().map(|path| format!("{} (setuid root)", path.display()));
        return Err(Obstacle::NoAptGet { programs: missing.chain(powerless).collect() });
    }
    let mut packages = found.packages();
    let again = !found.powerless.is_empty();
    if again && !packages.contains(&"uidmap") {
        packages.push("uidmap");
    }
    Ok(Some(Step::Install { packages, again, repair: state.dpkg_interrupted }))
}

fn ids(state: &State, who: &Who) -> Result<Option<Step>, Obstacle> {
    let ids = &state.ids;
    if ids.uids.is_some() && ids.gids.is_some() {
        return Ok(None);
    }
    if let Some(beyond) = ids.beyond.clone() {
        return Err(Obstacle::FewIds { user: who.name.clone(), beyond });
    }
    let free = Some(ids.free.ok_or(Obstacle::NoFreeIds)?);
    let lend = |have: Option<_>| if have.is_none() { free } else { None };
    Ok(Some(Step::AddSubIds { user: who.name.clone(), uids: lend(ids.uids), gids: lend(ids.gids) }))
}

fn delegation(state: &State, who: &Who) -> Result<Option<Step>, Obstacle> {
    Ok(match &state.delegation {
        // Without a hierarchy there is nothing to do; the findings say so, and the service has its own answer.
        Delegation::Ready | Delegation::AtStart | Delegation::Nowhere(_) => None,
        Delegation::Incomplete => {
            Some(Step::Delegate { layout: state.layout.clone(), name: who.cgroup_name(), user: who.name.clone() })
        }
        Delegation::Foreign { directory, owner } => {
            return Err(Obstacle::ForeignCgroup { directory: directory.clone(), owner: *owner });
        }
        Delegation::UserManager(manager) if !manager.lingers => Some(Step::EnableLinger { user: who.name.clone() }),
        // A running manager takes the wider delegation up when it is started again; until then a finding says so.
        Delegation::UserManager(manager) if !manager.lacks().is_empty() && !manager.drop_in => {
            Some(Step::WidenManagers)
        }
        Delegation::UserManager(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ids::IdRange;
    use crate::host::provision::delegation::UserManager;
    use crate::host::provision::layout::{CgroupLayout, NoCgroup};
    use crate::host::provision::packages::{Found, Need};
    use crate::host::provision::tests::{complete, ordinary, service};

    type Change = fn(&mut State);

    const CRUN: Need = Need { what: "crun", package: "crun", purpose: "" };
    const FREE: IdRange = IdRange { first: 100_000, count: 65_536 };

    fn names(state: &State, who: &Who) -> Vec<&'static str> {
        plan(state, who).unwrap().iter().map(name).collect()
    }

    fn name(step: &Step) -> &'static str {
        match step {
            Step::Install { .. } => "install",
            Step::AddAccount { .. } => "account",
            Step::MakeHome { .. } => "home",
            Step::AddSubIds { .. } => "ids",
            Step::EnableLinger { .. } => "linger",
            Step::WidenManagers => "widen",
            Step::Delegate { .. } => "delegate",
            Step::KeepDelegation(_) => "keep",
        }
    }

    fn fresh(state: &mut State) {
        state.found = Found { missing: vec![CRUN], ..Found::default() };
        state.uid = None;
        state.home = Home::Missing;
        state.ids = crate::host::provision::state::Ids { uids: None, gids: None, beyond: None, free: Some(FREE) };
        state.delegation = Delegation::Incomplete;
    }

    fn manager(lingers: bool, given: &str, drop_in: bool) -> Delegation {
        let controllers = given.split_whitespace().map(str::to_owned).collect();
        Delegation::UserManager(UserManager { lingers, controllers: Some(controllers), drop_in })
    }

    #[test]
    fn a_complete_machine_gives_an_empty_plan() {
        assert!(names(&complete(), &service()).is_empty());
        assert!(names(&complete(), &ordinary()).is_empty());
    }

    #[test]
    fn what_is_missing_is_mended_and_nothing_else() {
        let root = service();
        let user = ordinary();
        let cases: [(&str, &Who, Change, &[&str]); 11] = [
            ("fresh, root", &root, fresh, &["install", "account", "home", "ids", "delegate"]),
            (
                "fresh, user",
                &user,
                |state| {
                    fresh(state);
                    state.uid = Some(1001);
                },
                &["install", "home", "ids", "delegate"],
            ),
            ("half done", &root, |state| state.delegation = Delegation::Incomplete, &["delegate"]),
            ("a closed home", &user, |state| state.home = Home::Closed, &["home"]),
            ("powerless helper", &root, |state| state.found.powerless = vec!["/bin/newuidmap".into()], &["install"]),
            ("no linger", &user, |state| state.delegation = manager(false, "", false), &["linger"]),
            ("no cpu", &user, |state| state.delegation = manager(true, "memory pids", false), &["widen"]),
            ("no cpu yet", &user, |state| state.delegation = manager(true, "memory pids", true), &[]),
            ("all given", &user, |state| state.delegation = manager(true, "cpu memory pids", false), &[]),
            ("scope at start", &root, |state| state.delegation = Delegation::AtStart, &[]),
            ("no cgroup", &root, |state| state.delegation = Delegation::Nowhere(NoCgroup::NotMounted), &[]),
        ];
        for (case, who, change, want) in cases {
            let mut state = complete();
            change(&mut state);
            assert_eq!(names(&state, who), want, "{case}");
        }
    }

    #[test]
    fn only_the_missing_half_of_the_ids_is_lent() {
        let mut state = complete();
        (state.ids.gids, state.ids.free) = (None, Some(FREE));
        let steps = plan(&state, &ordinary()).unwrap();
        assert_eq!(steps, [Step::AddSubIds { user: "ann".into(), uids: None, gids: Some(FREE) }]);
    }

    #[test]
    fn what_is_not_ours_stops_it() {
        let cases: [(Change, &str); 7] = [
            (|state| state.uid = Some(0), "has uid 0"),
            (|state| state.home = Home::Foreign { owner: 7 }, "belongs to uid 7; move it away"),
            (
                |state| {
                    state.uid = Some(7);
                    state.home = Home::Foreign { owner: 7 };
                },
                "is no directory; move it away",
            ),
            (
                |state| state.delegation = Delegation::Foreign { directory: "/cg/casemate".into(), owner: 7 },
                "cgroup /cg/casemate belongs to uid 7",
            ),
            (
                |state| {
                    (state.ids.uids, state.ids.free) = (None, None);
                },
                "no 65536 subordinate ids are free",
            ),
            (
                |state| {
                    let map = vec![IdRange { first: 0, count: 65_536 }];
                    state.ids.uids = None;
                    state.ids.beyond = Some(Beyond { file: "/etc/subuid", lent: FREE, map });
                },
                "/etc/subuid lends casemate 100000 to 165535, and of all ids this container has 0 to 65535",
            ),
            (
                |state| {
                    state.apt = false;
                    state.found.missing = vec![CRUN];
                    state.found.powerless = vec!["/bin/newuidmap".into()];
                },
                "set up again: crun, /bin/newuidmap (setuid root)",
            ),
        ];
        for (change, want) in cases {
            let mut state = complete();
            change(&mut state);
            let error = plan(&state, &service()).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn without_a_cgroup_layout_the_directories_are_none() {
        assert!(CgroupLayout::None(NoCgroup::NotMounted).directories("casemate").is_empty());
    }
}
