//! One thing that set-up does: its name, and its commands as values.

use std::fmt;
use std::path::PathBuf;

use super::command::Command;
use super::delegation;
use super::layout::CgroupLayout;
use super::reboot::Keep;
use super::systemd;
use super::who::Who;
use crate::host::ids::IdRange;

/// A thing to do. Doing it twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Install packages, or again those whose programs lost their power.
    Install {
        /// Names.
        packages: Vec<&'static str>,
        /// Whether to install what is installed already.
        again: bool,
        /// Whether dpkg has to finish something first.
        repair: bool,
    },
    /// Make the service account.
    AddAccount {
        /// Its name.
        name: String,
    },
    /// Make the home directory, or set its permissions.
    MakeHome {
        /// Where.
        path: PathBuf,
        /// Whom root gives it to; `None` when its user makes it himself.
        owner: Option<String>,
    },
    /// Lend a range of subordinate ids.
    AddSubIds {
        /// To whom.
        user: String,
        /// Which uids, where none are there.
        uids: Option<IdRange>,
        /// Which gids, where none are there.
        gids: Option<IdRange>,
    },
    /// Let the user's systemd manager run without a session, and so at all.
    EnableLinger {
        /// The user.
        user: String,
    },
    /// Make systemd delegate the cpu controller to user managers.
    WidenManagers,
    /// Hand cgroup directories over.
    Delegate {
        /// The hierarchies.
        layout: CgroupLayout,
        /// Name of the directories.
        name: String,
        /// To whom.
        user: String,
    },
    /// Do so again at every boot.
    KeepDelegation(Keep),
}

/// Seconds that apt-get waits for another package manager to finish.
const LOCK_TIMEOUT: u32 = 300;

impl Step {
    /// Whether an ordinary user can do it by himself.
    #[must_use]
    pub const fn needs_root(&self) -> bool {
        !matches!(self, Self::MakeHome { owner: None, .. })
    }

    /// The commands, in order.
    #[must_use]
    pub fn commands(&self) -> Vec<Command> {
        match self {
            Self::Install { packages, again, repair } => install(packages, *again, *repair),
            Self::AddAccount { name } => vec![Command::new(add_account(name))],
            Self::MakeHome { path, owner } => {
                let path = path.display().to_string();
                match owner {
                    Some(user) => {
                        // Handed over last: root's empty directory is what an interrupted set-up leaves. With nothing
                        // after the colon, chown takes the user's login group.
                        let make = Command::new(["install", "-d", "-m", "0711", &path]);
                        vec![make, Command::new(["chown", &format!("{user}:"), &path])]
                    }
                    None => vec![Command::new(["mkdir", "-p", &path]), Command::new(["chmod", "0711", &path])],
                }
            }
            Self::AddSubIds { user, uids, gids } => add_sub_ids(user, *uids, *gids),
            Self::EnableLinger { user } => vec![Command::new(["loginctl", "enable-linger", user])],
            Self::WidenManagers => {
                let directory = systemd::DROP_IN.rsplit_once('/').map_or("/", |(directory, _)| directory);
                let mut commands = vec![Command::new(["mkdir", "-p", directory])];
                commands.extend(Command::write(systemd::DROP_IN, "0644", systemd::DROP_IN_TEXT));
                commands.push(Command::new(["systemctl", "daemon-reload"]));
                commands
            }
            Self::Delegate { layout, name, user } => delegation::commands(layout, name, user),
            Self::KeepDelegation(keep) => keep.commands(),
        }
    }
}

/// What `who` needs of a home directory.
pub(super) fn make_home(who: &Who) -> Step {
    Step::MakeHome { path: who.home.clone(), owner: who.service.then(|| who.name.clone()) }
}

fn install(packages: &[&str], again: bool, repair: bool) -> Vec<Command> {
    let lock = format!("-oDPkg::Lock::Timeout={LOCK_TIMEOUT}");
    let apt = |words: &[&str]| {
        let head = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", &lock];
        Command::new(head.into_iter().chain(words.iter().copied()))
    };
    // One unreachable source among several fails an update; what is wanted may be known all the same.
    let update = Command { optional: true, ..apt(&["update"]) };
    let mut words = vec!["install", "-y", "--no-install-recommends"];
    words.extend(again.then_some("--reinstall"));
    words.extend(packages);
    // Fails while another dpkg is still at it, for which apt-get then waits.
    let finish = Command::new(["env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--configure", "-a"]);
    let finish = Command { optional: true, ..finish };
    repair.then_some(finish).into_iter().chain([update, apt(&words)]).collect()
}

/// A system account takes no subordinate ids by itself, has no password and no shell. Its home is made by a step of its
/// own, so that an interrupted set-up finds out.
fn add_account(name: &str) -> [&str; 9] {
    let home = super::who::ACCOUNT_HOME;
    [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        home,
        "--shell",
        "/usr/sbin/nologin",
        name,
    ]
}

/// By usermod(8) and not by an edit of ours: it takes the lock that useradd(8) and its like respect (`/etc/subuid.lock`,
/// with its rules for stale ones), writes a copy and renames it, keeps owner and mode, and adds no line twice. It only
/// refuses to work where a file is missing, hence touch.
fn add_sub_ids(user: &str, uids: Option<IdRange>, gids: Option<IdRange>) -> Vec<Command> {
    let mut argv = vec!["usermod".to_owned()];
    for (option, range) in [("--add-subuids", uids), ("--add-subgids", gids)] {
        if let Some(range) = range {
            argv.extend([option.to_owned(), format!("{}-{}", range.first, range.end() - 1)]);
        }
    }
    argv.push(user.to_owned());
    vec![Command::new(["touch", "/etc/subuid", "/etc/subgid"]), Command::new(argv)]
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Install { packages, again, .. } => {
                write!(f, "install {}{}", packages.join(", "), if *again { " again" } else { "" })
            }
            Self::AddAccount { name } => write!(f, "make the system account {name}"),
            Self::MakeHome { path, .. } => write!(f, "make {} (mode 0711)", path.display()),
            Self::AddSubIds { user, uids, gids } => {
                write!(f, "lend {user} subordinate ids:")?;
                for (what, range) in [("uids", uids), ("gids", gids)] {
                    if let Some(range) = range {
                        write!(f, " {what} {}-{}", range.first, range.end() - 1)?;
                    }
                }
                Ok(())
            }
            Self::EnableLinger { user } => write!(f, "let the systemd manager of {user} run without a session"),
            Self::WidenManagers => f.write_str("make systemd delegate cpu, memory and pids to user managers"),
            Self::Delegate { layout, name, user } => {
                write!(f, "give {user} the cgroups")?;
                layout.directories(name).iter().try_for_each(|directory| write!(f, " {}", directory.display()))
            }
            Self::KeepDelegation(keep) => write!(f, "make the cgroups again at every boot: {}", keep.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(step: &Step) -> Vec<String> {
        step.commands().iter().map(Command::shell).collect()
    }

    #[test]
    fn packages_are_installed_without_questions() {
        let step = Step::Install { packages: vec!["crun", "uidmap"], again: false, repair: true };
        let apt = "env DEBIAN_FRONTEND=noninteractive apt-get -q -oDPkg::Lock::Timeout=300";
        assert_eq!(
            lines(&step),
            [
                "env DEBIAN_FRONTEND=noninteractive dpkg --configure -a".to_owned(),
                format!("{apt} update"),
                format!("{apt} install -y --no-install-recommends crun uidmap"),
            ]
        );
        assert_eq!(step.commands().iter().map(|command| command.optional).collect::<Vec<_>>(), [true, true, false]);
    }

    #[test]
    fn ids_are_lent_where_they_are_missing() {
        let range = Some(IdRange { first: 100_000, count: 65_536 });
        let both = Step::AddSubIds { user: "ann".into(), uids: range, gids: range };
        assert_eq!(lines(&both)[1], "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann");
        let one = Step::AddSubIds { user: "ann".into(), uids: None, gids: range };
        assert_eq!(lines(&one)[1], "usermod --add-subgids 100000-165535 ann");
        assert_eq!(one.to_string(), "lend ann subordinate ids: gids 100000-165535");
    }

    #[test]
    fn a_user_makes_his_own_home() {
        let home = |owner| Step::MakeHome { path: "/h".into(), owner };
        assert!(!home(None).needs_root());
        assert!(home(Some("casemate".into())).needs_root());
        assert_eq!(lines(&home(Some("casemate".into()))), ["install -d -m 0711 /h", "chown casemate: /h"]);
    }
}
