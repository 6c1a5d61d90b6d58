//! The cgroup that is handed to the serving user: whether it is there, and the commands that make it. On v1 one
//! directory in each hierarchy, on v2 without systemd one subtree (cgroups(7), "Cgroup delegation: delegating a hierarchy
//! to a less privileged user"). Only directories of our own name are touched, and no limit of theirs is set.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::command::Command;
use super::layout::{CgroupLayout, NoCgroup};
use super::machine::{Machine, ReadError};
use super::reboot::Init;
use super::systemd;
use super::who::Who;

/// How far the delegation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delegation {
    /// The directories are there and belong to the serving user.
    Ready,
    /// Not there, or made half and abandoned.
    Incomplete,
    /// A directory of our name belongs to somebody else, or to root and is in use.
    Foreign {
        /// The directory.
        directory: PathBuf,
        /// Its owner's uid.
        owner: u32,
    },
    /// systemd delegates a scope to root when the service starts; there is nothing to prepare.
    AtStart,
    /// systemd delegates to the user's manager, and that to a scope.
    UserManager(UserManager),
    /// There is no hierarchy to delegate from.
    Nowhere(NoCgroup),
}

/// What an ordinary user's systemd manager is like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserManager {
    /// Whether it runs without a session of his (`loginctl enable-linger`).
    pub lingers: bool,
    /// The controllers it was given; unknown while it does not run.
    pub controllers: Option<Vec<String>>,
    /// Whether our drop-in is in place.
    pub drop_in: bool,
}

impl UserManager {
    /// The controllers we use and it was not given; none while that is unknown.
    #[must_use]
    pub fn lacks(&self) -> Vec<&'static str> {
        let given = self.controllers.as_deref();
        let lacking = |name: &&str| given.is_some_and(|given| !given.iter().any(|have| have == name));
        systemd::WANTED.into_iter().filter(lacking).collect()
    }
}

/// Files of a delegated directory that must belong to the user as the directory does.
const fn handed_over(layout: &CgroupLayout) -> &'static [&'static str] {
    match layout {
        CgroupLayout::V2 { .. } => &["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"],
        CgroupLayout::V1 { .. } | CgroupLayout::None(_) => &["cgroup.procs", "tasks"],
    }
}

/// Looks at what is there for `who`, whose uid is `uid` where the account exists.
pub(super) fn look(
    machine: &Machine,
    layout: &CgroupLayout,
    init: Init,
    who: &Who,
    uid: Option<u32>,
) -> Result<Delegation, ReadError> {
    match (layout, init) {
        (CgroupLayout::None(why), _) => return Ok(Delegation::Nowhere(*why)),
        (CgroupLayout::V2 { .. }, Init::Systemd) if who.service => return Ok(Delegation::AtStart),
        (CgroupLayout::V2 { mount }, Init::Systemd) => return manager(machine, mount, who, uid),
        _ => {}
    }
    let mut ready = true;
    for directory in layout.directories(&who.cgroup_name()) {
        let Ok(meta) = std::fs::metadata(machine.path(&directory)) else {
            ready = false;
            continue;
        };
        if Some(meta.uid()) != uid && !(meta.uid() == 0 && unused(&machine.path(&directory))) {
            return Ok(Delegation::Foreign { directory, owner: meta.uid() });
        }
        let ours = |path: PathBuf| std::fs::metadata(path).ok().map(|meta| meta.uid()) == uid && uid.is_some();
        ready &= ours(machine.path(&directory));
        ready &= handed_over(layout).iter().all(|file| ours(machine.path(directory.join(file))));
        if matches!(layout, CgroupLayout::V2 { .. }) {
            let given = machine.text(directory.join("cgroup.controllers"))?.unwrap_or_default();
            ready &= systemd::WANTED.iter().all(|name| given.split_whitespace().any(|have| have == *name));
        }
    }
    Ok(if ready { Delegation::Ready } else { Delegation::Incomplete })
}

/// A directory that root made and nobody uses is what an interrupted set-up leaves.
fn unused(directory: &Path) -> bool {
    let empty = std::fs::read_to_string(directory.join("cgroup.procs")).is_ok_and(|text| text.trim().is_empty());
    let leaf = std::fs::read_dir(directory).is_ok_and(|mut entries| {
        !entries.any(|entry| entry.and_then(|entry| entry.file_type()).is_ok_and(|kind| kind.is_dir()))
    });
    empty && leaf
}

fn manager(machine: &Machine, mount: &Path, who: &Who, uid: Option<u32>) -> Result<Delegation, ReadError> {
    let controllers = match uid {
        Some(uid) => machine.text(mount.join(systemd::manager_controllers(uid)))?,
        None => None,
    };
    Ok(Delegation::UserManager(UserManager {
        lingers: machine.path("/var/lib/systemd/linger").join(&who.name).exists(),
        controllers: controllers.map(|text| text.split_whitespace().map(str::to_owned).collect()),
        drop_in: machine.text(systemd::DROP_IN)?.as_deref() == Some(systemd::DROP_IN_TEXT),
    }))
}

/// Gives the children of the mount point the controllers. A cgroup that has processes of its own cannot (cgroups(7),
/// "no internal processes"); only the real root may, which is known by having no `cgroup.type`. Seen from inside a
/// container the top is not the real root, and its processes move aside first.
///
/// All at once, so that it is refused as a whole: cpu or pids alone would be taken with processes in it, which makes of the
/// cgroup the top of a threaded subtree, and into a child of that no process can be moved. By the program and not by the
/// shell's own echo, which says "I/O error" whatever the kernel said.
const ENABLE: &str = r#"cd "$1" || exit 1
enable() { env echo '+cpu +memory +pids' >cgroup.subtree_control; }
enable 2>/dev/null && exit 0
if [ -e cgroup.type ]; then
  mkdir -p init && for p in $(cat cgroup.procs); do echo "$p" >init/cgroup.procs 2>/dev/null || :; done
fi
enable && exit 0
for f in cgroup.controllers cgroup.procs; do echo "$f of $1: $(paste -sd' ' $f)" >&2; done
exit 1"#;

/// The commands, as root, after which the directories called `name` belong to `user`. Each may be repeated. The
/// directory itself is handed over last: its owner says that the rest is done.
pub(super) fn commands(layout: &CgroupLayout, name: &str, user: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    if let CgroupLayout::V2 { mount } = layout {
        commands.push(Command::new(["sh", "-c", ENABLE, "sh", &mount.display().to_string()]));
    }
    // With nothing after the colon, chown takes the user's login group.
    let owner = format!("{user}:");
    for directory in layout.directories(name) {
        let path = directory.display().to_string();
        commands.push(Command::new(["mkdir", "-p", &path]));
        let files = handed_over(layout).iter().map(|file| format!("{path}/{file}"));
        commands.push(Command::new(["chown".to_owned(), owner.clone()].into_iter().chain(files)));
        commands.push(Command::new(["chown", &owner, &path]));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::provision::tests::{ordinary, service, tree};

    const V1_DIR: &str = "/sys/fs/cgroup/memory/casemate";

    fn v1() -> CgroupLayout {
        let [memory, pids, cpu, cpuacct] =
            ["memory", "pids", "cpu", "cpuacct"].map(|name| Path::new("/sys/fs/cgroup").join(name));
        CgroupLayout::V1 { memory, pids, cpu, cpuacct }
    }

    fn me() -> Option<u32> {
        Some(rustix::process::geteuid().as_raw())
    }

    #[test]
    fn v1_is_ready_when_every_file_is_ours_and_foreign_when_one_is_not() {
        let files: Vec<String> = ["memory", "pids", "cpu", "cpuacct"]
            .iter()
            .flat_map(|top| ["cgroup.procs", "tasks"].map(|file| format!("/sys/fs/cgroup/{top}/casemate/{file}")))
            .collect();
        let (_guard, machine) = tree(&files.iter().map(|path| (path.as_str(), "")).collect::<Vec<_>>());
        let seen = |uid| look(&machine, &v1(), Init::Other, &service(), uid).unwrap();
        assert_eq!(seen(me()), Delegation::Ready);
        std::fs::write(machine.path(V1_DIR).join("cgroup.procs"), "12\n").unwrap();
        let owner = me().unwrap();
        let foreign = Delegation::Foreign { directory: V1_DIR.into(), owner };
        assert_eq!(seen(Some(4_000_000)), foreign, "in use, and not by the user who will serve");
        std::fs::remove_file(machine.path("/sys/fs/cgroup/cpu/casemate/tasks")).unwrap();
        assert_eq!(seen(me()), Delegation::Incomplete);
    }

    #[test]
    fn an_abandoned_directory_of_root_is_finished_and_a_used_one_left_alone() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let procs = format!("{V1_DIR}/cgroup.procs");
        let (_guard, machine) = tree(&[(&procs, "")]);
        let seen = || look(&machine, &v1(), Init::Other, &service(), Some(998)).unwrap();
        assert_eq!(seen(), Delegation::Incomplete);
        std::fs::create_dir(machine.path(V1_DIR).join("child")).unwrap();
        assert!(matches!(seen(), Delegation::Foreign { owner: 0, .. }));
    }

    #[test]
    fn v2_needs_the_controllers_too() {
        let layout = CgroupLayout::V2 { mount: "/cg".into() };
        let file = |name: &str| format!("/cg/casemate/{name}");
        let paths = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads", "cgroup.controllers"].map(file);
        let (_guard, machine) = tree(&paths.each_ref().map(|path| (path.as_str(), "cpu memory\n")));
        let seen = || look(&machine, &layout, Init::Other, &service(), me()).unwrap();
        assert_eq!(seen(), Delegation::Incomplete);
        std::fs::write(machine.path(&paths[3]), "cpuset cpu io memory pids\n").unwrap();
        assert_eq!(seen(), Delegation::Ready);
        assert_eq!(look(&machine, &layout, Init::Systemd, &service(), me()).unwrap(), Delegation::AtStart);
    }

    #[test]
    fn a_user_manager_is_judged_by_what_it_was_given() {
        let layout = CgroupLayout::V2 { mount: "/cg".into() };
        let controllers = "/cg/user.slice/user-1001.slice/user@1001.service/cgroup.controllers";
        let (_guard, machine) = tree(&[(controllers, "memory pids\n"), ("/var/lib/systemd/linger/ann", "")]);
        let Delegation::UserManager(found) = look(&machine, &layout, Init::Systemd, &ordinary(), Some(1001)).unwrap()
        else {
            panic!("not a user manager");
        };
        assert!(found.lingers && !found.drop_in);
        assert_eq!(found.lacks(), ["cpu"]);
        assert!(UserManager::default().lacks().is_empty(), "unknown is not lacking");
    }

    /// What `ENABLE` does and says in a directory of files that stand for a cgroup's.
    fn enable(directory: &Path) -> std::process::Output {
        std::process::Command::new("sh").args(["-c", ENABLE, "sh"]).arg(directory).output().unwrap()
    }

    #[test]
    fn the_controllers_are_asked_for_at_once() {
        let (guard, _machine) = tree(&[("/cg/cgroup.subtree_control", ""), ("/cg/cgroup.type", "domain\n")]);
        let output = enable(&guard.path().join("cg"));
        assert!(output.status.success(), "{output:?}");
        let asked = std::fs::read_to_string(guard.path().join("cg/cgroup.subtree_control")).unwrap();
        assert_eq!(asked, "+cpu +memory +pids\n", "one after the other makes a threaded cgroup of it");
        assert!(!guard.path().join("cg/init").exists(), "nobody had to move");
    }

    #[test]
    fn controllers_that_are_refused_are_told_with_what_there_is() {
        let files = [("/cg/cgroup.controllers", "memory pids\n"), ("/cg/cgroup.procs", "0\n7\n")];
        let (guard, _machine) = tree(&files);
        std::fs::create_dir(guard.path().join("cg/cgroup.subtree_control")).unwrap();
        let output = enable(&guard.path().join("cg"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success());
        for words in [
            "cgroup.subtree_control: Is a directory",
            "cgroup.controllers of ",
            ": memory pids",
            "cgroup.procs of ",
            ": 0 7",
        ] {
            assert!(said.contains(words), "{words} is not in {said}");
        }
    }

    #[test]
    fn the_directory_changes_hands_last() {
        let lines: Vec<_> = commands(&v1(), "casemate", "casemate").iter().map(Command::shell).collect();
        assert_eq!(lines.len(), 12);
        assert_eq!(
            lines[..3],
            [
                "mkdir -p /sys/fs/cgroup/memory/casemate",
                "chown casemate: /sys/fs/cgroup/memory/casemate/cgroup.procs /sys/fs/cgroup/memory/casemate/tasks",
                "chown casemate: /sys/fs/cgroup/memory/casemate",
            ]
        );
        let v2 = commands(&CgroupLayout::V2 { mount: "/cg".into() }, "casemate-ann", "ann");
        assert_eq!(v2.len(), 4);
        assert_eq!(v2[0].argv[4], "/cg");
    }
}
