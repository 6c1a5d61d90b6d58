//! What only a trial shows: the namespaces of the service, and containers that run into every limit. In a process of its
//! own, for nobody comes out of a namespace again; what it found comes back as text.

use serde_json::Value;

use super::to_json;
use crate::config::Settings;
use crate::host::provision::{CGROUP, DelegateError, Delegated, Finding, Problem, Standing};
use crate::host::stage::StageError;
use crate::host::userns::EnterError;
use crate::seccomp::never;
use crate::server::{self, Definitions, StartError};
use crate::shutdown::Signals;
use crate::telemetry::chain;
use crate::worker::selftest;

const NAMESPACES: &str = "namespaces";
const CONFINEMENT: &str = "confinement";
const LIMITS: &str = "limits";
const CONTAINER: &str = "container";

/// The service's namespaces were entered: what was found about them by reading is settled. `read` is what reading said.
#[must_use]
pub fn namespaces(read: Vec<Finding>) -> Vec<Finding> {
    let settle = |finding: Finding| match finding {
        // A profile of AppArmor may allow this very program what a switch forbids all others.
        Finding { name, standing: Standing::Missing, meaning, .. } if name == "user namespaces" => Finding {
            name,
            standing: Standing::Advice,
            meaning: format!("{meaning}; tried, it works for this program"),
            ..finding
        },
        other => other,
    };
    let mut all: Vec<Finding> = read.into_iter().map(settle).collect();
    all.push(Finding::ok(
        NAMESPACES,
        "entered: user, mount, cgroup and pid, with the subordinate ids mapped and /proc mounted",
    ));
    // Without it they are not entered.
    all.push(Finding::ok(
        CONFINEMENT,
        format!(
            "the service has no_new_privs and a filter that refuses it {} system calls, and can write below its home alone",
            never().count()
        ),
    ));
    all
}

/// Why they could not be entered.
#[must_use]
pub fn not_entered(error: &EnterError) -> Finding {
    let (problem, mend) = match error {
        // The kernel itself says EPERM, ENOSPC or EINVAL (unshare(2)); EACCES comes of a security module's rules.
        EnterError::Unshare(nix::errno::Errno::EACCES) => (
            Problem::NamespacesRefused,
            "a security module forbids them to the profile that casemate runs under: with AppArmor, load the profile \
             casemate.apparmor that comes with it (docs/OPERATIONS.md), or give yours the line `userns,`",
        ),
        EnterError::Unshare(_) => (
            Problem::NamespacesRefused,
            "allow user namespaces: the switches are user.max_user_namespaces, kernel.unprivileged_userns_clone and \
             kernel.apparmor_restrict_unprivileged_userns; in a container its own seccomp profile may forbid unshare(2)",
        ),
        EnterError::Map(_) => (
            Problem::IdsUnmapped,
            "casemate setup; and start it without no_new_privs, from a mount without nosuid, with CAP_SETUID and CAP_SETGID in \
             its bounding set; in a container with few capabilities newuidmap and newgidmap need them as file capabilities, not a \
             setuid bit (docs/CONTAINERS.md)",
        ),
        EnterError::Mount { what: "/proc", .. } => (
            Problem::ProcMasked,
            "an outer container masks parts of /proc, so that the kernel lets nobody mount another: podman run --security-opt \
             'unmask=/proc/*', docker run --security-opt systempaths=unconfined, Kubernetes hostUsers: false and procMount: Unmasked",
        ),
        EnterError::Mount { .. } | EnterError::Identity(_) => (
            Problem::MountsRefused,
            "a security module takes the capabilities of the namespace away (an AppArmor profile that allows userns, or \
             sysctl -w kernel.apparmor_restrict_unprivileged_userns=0), or an outer container forbids it, by its filter or by a \
             profile: Kubernetes seccompProfile and appArmorProfile: Unconfined",
        ),
        EnterError::Confine(_) => (
            Problem::Unconfined,
            "a kernel with CONFIG_SECCOMP_FILTER; in a container a profile of its own that lets it mount and make filters",
        ),
        EnterError::Pipe(_) | EnterError::Fork(_) | EnterError::Settle(_) | EnterError::Signals(_) => {
            (Problem::NotEntered, "casemate setup")
        }
    };
    Finding::missing(problem, NAMESPACES, chain(error), mend)
}

/// Why the cgroup cannot be handed over.
#[must_use]
pub fn not_delegated(error: &DelegateError) -> Finding {
    let mend = "casemate setup; in a container it takes cgroups of its own that it may write to: cgroup v2, under systemd for a \
                rootless one, and podman run --security-opt unmask=/sys/fs/cgroup, Kubernetes containerd's cgroup_writable";
    Finding::missing(Problem::CgroupRefused, CGROUP, chain(error), mend)
}

/// Builds what the service builds, then makes containers that run into each limit, as every start does. To be called as
/// process 1 of the service's namespaces.
#[must_use]
pub fn container(settings: &Settings, definitions: Definitions, delegated: &Delegated) -> Vec<Finding> {
    let limits = match delegated {
        Delegated::Nothing => None,
        _ => Some(Finding::ok(LIMITS, "memory, processes and processor share were each set in a cgroup and read back")),
    };
    let tried = server::run(async {
        // The namespaces are entered with signals blocked, that of a child's end too.
        let _heard = Signals::listen().map_err(StartError::Signals)?;
        let ground = server::ground(settings, definitions, delegated)?;
        selftest::run(&ground.sandbox).await?;
        Ok(())
    });
    match tried {
        Ok(()) => {
            let probes = "containers were made and ran into every limit; each held";
            limits.into_iter().chain([Finding::ok(CONTAINER, probes)]).collect()
        }
        Err(error) => vec![failed(&error)],
    }
}

fn failed(error: &StartError) -> Finding {
    let (problem, name, mend) = match error {
        StartError::Cgroup(_) | StartError::CgroupMount(_) => (
            Problem::LimitsRefused,
            LIMITS,
            "casemate setup; an outer container needs writable cgroups of its own (podman run --cgroupns=private --security-opt \
             unmask=/sys/fs/cgroup)",
        ),
        StartError::Stage(StageError::NoPlace { .. }) => (
            Problem::StageRefused,
            NAMESPACES,
            "mkdir /mnt, or /media, /srv or /opt; or move the home out of all of them",
        ),
        StartError::Stage(_) => (
            Problem::StageRefused,
            NAMESPACES,
            "the kernel has to allow tmpfs and overlay in a user namespace: Linux 5.11 or later",
        ),
        StartError::Rlimit(_) => {
            (Problem::HardLimits, "hard limits", "as it says; systemd has Limit…= for it, sudo its rlimit_… in sudoers")
        }
        _ => (Problem::ContainerFailed, CONTAINER, "docs/TROUBLESHOOTING.md, \"The start\", has this message"),
    };
    Finding::missing(problem, name, chain(error), mend)
}

/// As text, to cross a pipe.
#[must_use]
pub fn encode(findings: &[Finding]) -> String {
    to_json(findings).to_string()
}

/// Back from text; `None` for what [`encode`] does not write.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<Finding>> {
    let value: Value = serde_json::from_str(text).ok()?;
    let finding = |one: &Value| {
        let text = |key: &str| one[key].as_str().map(str::to_owned);
        let standing = match one["standing"].as_str()? {
            "ok" => Standing::Ok,
            "missing" => Standing::Missing,
            "note" => Standing::Advice,
            _ => return None,
        };
        let problem = match one["problem"].as_str() {
            Some(id) => Some(Problem::of(id)?),
            None => None,
        };
        Some(Finding { name: text("name")?, standing, problem, meaning: text("meaning")?, mend: text("mend") })
    };
    value["findings"].as_array()?.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::confine::ConfineError;

    #[test]
    fn findings_cross_a_pipe_as_they_are() {
        let (low, gone) = (Problem::DiskLow, Problem::HomeMissing);
        let all =
            vec![Finding::ok("a", "x"), Finding::advice(low, "b", "y", "z"), Finding::missing(gone, "c", "\"\n", "")];
        assert_eq!(decode(&encode(&all)), Some(all));
        assert_eq!(decode("{\"findings\":[{\"name\":\"a\"}]}"), None);
        assert_eq!(decode(""), None);
    }

    #[test]
    fn a_trial_settles_what_a_switch_says() {
        let read = vec![
            Finding::missing(Problem::UsernsApparmor, "user namespaces", "AppArmor takes", "sysctl"),
            Finding::missing(Problem::HomeMissing, "home", "gone", ""),
        ];
        let all = namespaces(read);
        assert_eq!((all[0].standing, all[1].standing), (Standing::Advice, Standing::Missing));
        assert!(all[0].meaning.contains("tried, it works"), "{all:?}");
    }

    #[test]
    fn every_way_in_that_is_closed_has_its_remedy() {
        let io = || std::io::Error::from(std::io::ErrorKind::Other);
        let mount = |what| EnterError::Mount { what, source: nix::errno::Errno::EPERM };
        for (error, words) in [
            (EnterError::Unshare(nix::errno::Errno::EPERM), "user.max_user_namespaces"),
            (EnterError::Unshare(nix::errno::Errno::EACCES), "casemate.apparmor"),
            (EnterError::Map("newuidmap: no".into()), "no_new_privs"),
            (mount("/proc"), "unmask=/proc/*"),
            (mount("everything as private"), "AppArmor"),
            (EnterError::Settle(io()), "casemate setup"),
            (EnterError::Confine(ConfineError::StillOpen("/etc".into())), "CONFIG_SECCOMP_FILTER"),
        ] {
            let found = not_entered(&error);
            assert!(found.mend.as_deref().is_some_and(|mend| mend.contains(words)), "{found:?}");
        }
    }
}
