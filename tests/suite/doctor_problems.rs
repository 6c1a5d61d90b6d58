//! Every problem that `casemate doctor` can find is made for real once, in a mount namespace of the test's own; a problem that is
//! new to the product and not to this list fails the test.

use std::collections::BTreeSet;
use std::net::TcpListener;

use casemate::host::provision::Problem;

use super::doctor::{report, runtime, settings};
use crate::needs;
use crate::support::wrapper::Wrapper;
use crate::support::{Need, Runtime, Settings};

/// Makes one problem.
struct Row {
    problem: Problem,
    settings: Settings,
    /// Run as root in the new namespace; `FRONT` is put before the binary.
    script: String,
    /// Whether reading alone finds it.
    quick: bool,
    /// In what is said of it: which of several causes this is.
    words: &'static str,
}

fn row(problem: Problem, script: impl Into<String>) -> Row {
    Row { problem, settings: settings(), script: script.into(), quick: false, words: "" }
}

impl Row {
    /// It is read, and nothing is tried.
    fn quick(self) -> Self {
        Self { quick: true, ..self }
    }

    fn saying(self, words: &'static str) -> Self {
        Self { words, ..self }
    }

    fn set(self, name: &str, value: &str) -> Self {
        Self { settings: self.settings.set(name, value), ..self }
    }
}

/// For problems of switches that this kernel need not have: a directory of them that says this.
fn switches(text: &str) -> String {
    format!(
        "mount -t tmpfs tmpfs /proc/sys/kernel; mkdir /proc/sys/kernel/seccomp; cd /proc/sys/kernel; \
         echo kill_process errno allow >seccomp/actions_avail; {text}"
    )
}

/// A machine without systemd whose cgroups are these, each in a directory of its own below `$cg`.
fn cgroups(version: &str) -> String {
    let each = match version {
        "v1" => {
            "for c in memory pids cpu cpuacct; do mkdir \"$cg/$c\"; echo \"30 23 0:26 / $cg/$c rw - cgroup cgroup rw,$c\"; done"
        }
        _ => "echo \"30 23 0:26 / $cg rw - cgroup2 cgroup2 rw\"",
    };
    // Of this very process, which becomes the binary.
    format!(
        "mount -t tmpfs tmpfs /run; cg=$CASEMATE_HOME/cg; mkdir \"$cg\"; {{ {each}; }} >\"$CASEMATE_HOME/mounts\"; \
         mount --bind \"$CASEMATE_HOME/mounts\" /proc/$$/mountinfo;"
    )
}

const SYSTEMD: &str = "mkdir -p /run/systemd/system;";

/// Somebody who is neither root nor the account of the service.
const ANOTHER: &str = "FRONT='setpriv --reuid=daemon --regid=daemon --clear-groups'";

/// A layer over all images, in which things can be changed.
const IMAGES: &str = "mkdir \"$CASEMATE_HOME/over\"; mount -t tmpfs tmpfs \"$CASEMATE_HOME/over\"; cd \"$CASEMATE_HOME/over\"; mkdir u w; \
    mount -t overlay -o lowerdir=\"$CASEMATE_IMAGES\",upperdir=u,workdir=w overlay \"$CASEMATE_IMAGES\"; cd \"$CASEMATE_IMAGES\"/python-*;";

/// A command that becomes the binary under a filter which refuses this.
fn refusing(what: &str) -> String {
    format!("FRONT='/usr/bin/python3 {}/tests/programs/confine/refuse.py {what}'", env!("CARGO_MANIFEST_DIR"))
}

/// The rest in a user namespace that has as many ids of the machine, with root's powers, after this.
fn namespace(ids: u64, first: &str) -> String {
    format!(
        "mkfifo \"$CASEMATE_HOME/go\"
         unshare --user sh -c 'read -r go <\"$CASEMATE_HOME/go\"
             exec sh -c \"{first} exec \\\"\\$@\\\"\" sh \"$@\"' sh \"$@\" &
         until [ \"$(readlink /proc/$!/ns/user)\" != \"$(readlink /proc/self/ns/user)\" ]; do :; done
         echo '0 0 {ids}' >/proc/$!/uid_map; echo '0 0 {ids}' >/proc/$!/gid_map
         echo go >\"$CASEMATE_HOME/go\"; wait $!; exit"
    )
}

/// A root file system of everything that the machine has but the four directories of which one carries the stage.
const WITHOUT_PLACES: &str = "new=$CASEMATE_HOME/root; mkdir \"$new\"; mount -t tmpfs tmpfs \"$new\"
    for at in /*; do
        case $at in /mnt | /media | /srv | /opt) continue ;; esac
        if [ -L \"$at\" ]; then cp -P \"$at\" \"$new\"; elif [ -d \"$at\" ]; then mkdir \"$new$at\"; mount --rbind \"$at\" \"$new$at\"; fi
    done
    mkdir \"$new/old\"; cd \"$new\"; pivot_root . old; cd /; umount -l /old; rmdir /old";

/// Where each hierarchy of cgroups is mounted.
const HIERARCHIES: &str = "$(awk '$3 ~ /^cgroup/ { print $2 }' /proc/self/mounts)";

fn rows(port: u16, [broken, blind, old]: [Settings; 3]) -> Vec<Row> {
    let full =
        |size: &str| format!("mount -t tmpfs -o size={size},mode=711,uid=$(id -u casemate) tmpfs \"$CASEMATE_HOME\"");
    let of = |problem, settings| Row { settings, ..row(problem, "") };
    let root = "cp /etc/passwd \"$CASEMATE_HOME/passwd\"; echo toor:x:0:0::/root:/bin/sh >>\"$CASEMATE_HOME/passwd\"; \
                mount --bind \"$CASEMATE_HOME/passwd\" /etc/passwd";
    let helper = "cp /usr/bin/newuidmap \"$CASEMATE_HOME/plain\"; chmod 755 \"$CASEMATE_HOME/plain\"; \
                  mount --bind \"$CASEMATE_HOME/plain\" /usr/bin/newuidmap";
    let (v1, v2) = (cgroups("v1"), cgroups("v2"));
    let narrow = "at=$cg/user.slice/user-$(id -u daemon).slice/user@$(id -u daemon).service; mkdir -p \"$at\"; \
                  echo memory pids >\"$at/cgroup.controllers\"; mkdir -p /var/lib/systemd; \
                  mount -t tmpfs tmpfs /var/lib/systemd; mkdir /var/lib/systemd/linger; touch /var/lib/systemd/linger/daemon;";
    // Over each hierarchy itself once more, which cannot be written; who reads finds the one below.
    let refused =
        format!("for at in {HIERARCHIES}; do mount --bind \"$at\" \"$at\"; mount -o remount,bind,ro \"$at\"; done");
    let read_only = format!("for at in {HIERARCHIES}; do mount -o remount,bind,ro \"$at\"; done");
    // In which nothing of ours is yet, and in which nothing can be made.
    let covered = format!("for at in {HIERARCHIES}; do mount -t tmpfs -o ro tmpfs \"$at\"; done");
    vec![
        row(Problem::ProgramMissing, "mount -t tmpfs tmpfs /usr/share/keyrings").quick(),
        row(Problem::HelperPowerless, helper).quick(),
        row(Problem::UsernsNone, namespace(4_294_967_295, "echo 0 >/proc/sys/user/max_user_namespaces;")).quick(),
        row(Problem::UsernsRoot, switches("echo 0 >unprivileged_userns_clone")).quick(),
        row(Problem::UsernsApparmor, switches("echo 1 >apparmor_restrict_unprivileged_userns")).quick(),
        row(Problem::NoNewPrivs, "FRONT='setpriv --no-new-privs'").quick(),
        row(Problem::Capabilities, "FRONT='setpriv --bounding-set -chown,-setgid'").quick(),
        row(Problem::OuterFilter, refusing("pivot_root")),
        row(Problem::AccountMissing, "").set("CASEMATE_ACCOUNT", "nobodyhere").quick(),
        row(Problem::AccountRoot, root).set("CASEMATE_ACCOUNT", "toor").quick(),
        row(Problem::HomeMissing, "").set("CASEMATE_HOME", "/nowhere").quick(),
        row(Problem::HomeClosed, "chmod 700 \"$CASEMATE_HOME\"").quick(),
        row(Problem::HomeForeign, "touch \"$CASEMATE_HOME/x\"; chown daemon \"$CASEMATE_HOME\"").quick(),
        row(Problem::IdsMissing, "mount --bind /dev/null /etc/subuid").quick(),
        row(Problem::IdsBeyond, namespace(65_536, "")).quick(),
        row(Problem::CgroupNowhere, "umount --recursive /sys/fs/cgroup")
            .quick()
            .saying("no cgroup file system is mounted"),
        // As container engines have them.
        row(Problem::CgroupNowhere, read_only).quick().saying("mounted read-only"),
        row(Problem::CgroupRefused, covered),
        row(Problem::CgroupIncomplete, format!("{v1}{ANOTHER}")).quick(),
        row(Problem::CgroupForeign, format!("{v1}mkdir $cg/memory/casemate; chown daemon $cg/memory/casemate")).quick(),
        row(Problem::ManagerDown, format!("{v2}{SYSTEMD}{ANOTHER}")).quick(),
        row(Problem::ManagerNarrow, format!("{v2}{SYSTEMD}{narrow}{ANOTHER}")).quick(),
        row(Problem::RebootLoses, format!("{v1}{SYSTEMD}")).quick(),
        row(Problem::SeccompActions, "mount --bind /dev/null /proc/sys/kernel/seccomp/actions_avail").quick(),
        // A release of 2.6 for whoever asks (personality(2), UNAME26).
        row(Problem::KernelOld, "FRONT='setarch --uname-2.6'").quick(),
        row(Problem::RuntimeUnusable, "").set("CASEMATE_RUNTIME_PATH", "/bin/cat").quick(),
        of(Problem::RuntimeWithoutSeccomp, blind).quick(),
        of(Problem::RuntimeHole, old).quick(),
        row(Problem::ImageMissing, "").set("CASEMATE_IMAGES", "/nowhere").quick(),
        row(Problem::ImageChanged, format!("{IMAGES} touch rootfs/etc/passwd")).quick(),
        row(Problem::ImageUnread, format!("{IMAGES} echo x >manifest.json")).quick(),
        row(Problem::DiskFull, full("8m")).quick(),
        row(Problem::DiskLow, full("500m")).quick(),
        row(Problem::AddressTaken, "").set("PORT", &port.to_string()).quick(),
        row(Problem::ClientsAnybody, "").set("CASEMATE_LISTEN", "0.0.0.0").quick(),
        row(Problem::TokensUnusable, "").set("CASEMATE_TOKENS", "/nowhere").quick(),
        row(Problem::NamespacesRefused, refusing("unshare")),
        row(Problem::IdsUnmapped, helper),
        // As container engines mask it: a directory, a file, and parts that cannot be written.
        row(Problem::ProcMasked, "mount -t tmpfs -o ro tmpfs /proc/fs"),
        row(Problem::ProcMasked, "mount --bind /dev/null /proc/timer_list"),
        row(Problem::ProcMasked, "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys"),
        row(Problem::MountsRefused, refusing("mount")),
        row(Problem::Unconfined, refusing("seccomp")),
        row(Problem::NotEntered, "FRONT='setpriv --bounding-set -setuid'"),
        row(Problem::TrialLost, refusing("mount!")),
        row(Problem::Untried, "umount --recursive /sys/fs/cgroup"),
        row(Problem::LimitsRefused, refused),
        row(Problem::HardLimits, "ulimit -n 100"),
        row(Problem::StageRefused, WITHOUT_PLACES).saying("can carry the service's private tmpfs"),
        of(Problem::ContainerFailed, broken),
    ]
}

#[test]
fn every_problem_is_provoked() {
    needs!(Need::Root, Need::Sandbox(Runtime::Crun), Need::Python);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("its address").port();
    let broken = Wrapper::of(Runtime::Crun, "[ \"$verb\" != run ] || exit 1");
    let blind = runtime("crun version 1.8.1\\n+SYSTEMD -SECCOMP\\n");
    let old = runtime("runc version 1.1.4\\nlibseccomp: 2.5.4\\n");
    let rows = rows(port, [broken.before(&settings()), blind.1.clone(), old.1.clone()]);
    let named: BTreeSet<Problem> = rows.iter().map(|row| row.problem).collect();
    let all: BTreeSet<Problem> = Problem::ALL.iter().copied().collect();
    assert_eq!(named, all, "each has to be provoked here");
    let mut wrong = Vec::new();
    for Row { problem, settings, script, quick, words } in rows {
        let found = report(&settings, &script, if quick { &["--quick"] } else { &[] });
        let findings = found["findings"].as_array().expect("findings");
        // The page has the same remedy in fewer words, the command first.
        let command = problem.mend().split('`').nth(1).unwrap_or_default();
        let fine = findings.iter().filter(|one| one["problem"] == problem.id()).any(|one| {
            let (meaning, mend) =
                (one["meaning"].as_str().unwrap_or_default(), one["mend"].as_str().unwrap_or_default());
            one["standing"] != "ok" && !mend.is_empty() && mend.contains(command) && meaning.contains(words)
        });
        if !fine {
            wrong.push(format!("{problem:?}: {script}\n{found:#}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
