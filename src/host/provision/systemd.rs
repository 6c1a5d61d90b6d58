//! What is asked of systemd: a scope of our own for the service, and controllers for user managers. Builds values; runs
//! nothing.

use std::path::{Path, PathBuf};

/// Whose manager makes the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    /// The machine's, for root.
    System,
    /// The user's own.
    User {
        /// His uid, which names the directory of his manager's socket.
        uid: u32,
    },
}

/// A command line to be executed in place of this process, and what its environment needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeCall {
    /// `systemd-run` and its arguments.
    pub argv: Vec<String>,
    /// Variables to set. A session made by su(1) or cron has none of a login's.
    pub env: Vec<(String, String)>,
}

/// Controllers that the service uses.
pub const WANTED: [&str; 3] = ["cpu", "memory", "pids"];

/// Where the drop-in that widens the delegation to user managers goes.
pub const DROP_IN: &str = "/etc/systemd/system/user@.service.d/casemate.conf";

/// Its text. Delegation to a user manager is what `user@.service` says; some versions say `memory pids` only.
pub const DROP_IN_TEXT: &str = "\
# Written by `casemate setup`: older systemd versions delegate no cpu controller to user managers.
[Service]
Delegate=cpu memory pids
";

/// Prefix of the units that are ours; see [`is_ours`].
const PREFIX: &str = "casemate";

/// The call that starts `exe` with `arguments` again in a scope of its own whose cgroup is delegated to it. systemd-run
/// executes it in its own process, so that the pid, standard streams, directory and environment stay.
#[must_use]
pub fn scope_call(manager: Manager, pid: u32, exe: &str, arguments: &[String]) -> ScopeCall {
    let mut argv = vec!["systemd-run".to_owned()];
    let mut env = Vec::new();
    if let Manager::User { uid } = manager {
        argv.push("--user".to_owned());
        env.push(("XDG_RUNTIME_DIR".to_owned(), format!("/run/user/{uid}")));
        env.push(("DBUS_SESSION_BUS_ADDRESS".to_owned(), format!("unix:path=/run/user/{uid}/bus")));
    }
    argv.extend(["--scope", "--quiet", "--collect"].map(str::to_owned));
    argv.extend([format!("--unit={PREFIX}-{pid}.scope"), "--property=Delegate=yes".to_owned(), "--".to_owned()]);
    argv.push(exe.to_owned());
    argv.extend_from_slice(arguments);
    ScopeCall { argv, env }
}

/// Whether the cgroup `path` (as in `/proc/self/cgroup`) is a unit made for the service: a scope of [`scope_call`] or a
/// service from our unit files. That the directory belongs to the user is not enough: so do those of his terminal.
#[must_use]
pub fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let unit = name.strip_suffix(".scope").or_else(|| name.strip_suffix(".service"));
    unit.is_some_and(|unit| unit == PREFIX || unit.starts_with("casemate-") || unit.starts_with("casemate@"))
}

/// The v2 line of the text of `/proc/self/cgroup`.
#[must_use]
pub fn own_path(cgroup: &str) -> Option<PathBuf> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::")).map(PathBuf::from)
}

/// Where the controllers that a user's manager was given are listed, below the mount point of cgroup v2.
pub(super) fn manager_controllers(uid: u32) -> PathBuf {
    PathBuf::from(format!("user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_is_delegated_and_keeps_the_command_line() {
        let arguments = ["serve".to_owned(), "--x=$HOME".to_owned()];
        let root = scope_call(Manager::System, 7, "/opt/casemate", &arguments);
        assert_eq!(
            root.argv.join(" "),
            "systemd-run --scope --quiet --collect --unit=casemate-7.scope --property=Delegate=yes -- \
             /opt/casemate serve --x=$HOME"
        );
        assert!(root.env.is_empty());
        let user = scope_call(Manager::User { uid: 1001 }, 7, "/opt/casemate", &arguments);
        assert_eq!(user.argv[1], "--user");
        assert_eq!(user.env[0], ("XDG_RUNTIME_DIR".to_owned(), "/run/user/1001".to_owned()));
    }

    #[test]
    fn only_units_of_ours_are_taken_for_delegated() {
        let cases = [
            ("0::/system.slice/casemate-12.scope\n", true),
            ("1:name=systemd:/x\n0::/user.slice/user-1.slice/user@1.service/app.slice/casemate-9.scope", true),
            ("0::/system.slice/casemate.service", true),
            ("0::/user.slice/user-1.slice/session-3.scope", false),
            ("0::/system.slice/casemateria.service", false),
            ("0::/casemate-1.scope/inner", false),
            ("0::/", false),
        ];
        for (text, want) in cases {
            assert_eq!(is_ours(&own_path(text).unwrap()), want, "{text}");
        }
        assert_eq!(own_path("4:memory:/x\n"), None);
    }
}
