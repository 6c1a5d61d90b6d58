//! Keeping the delegation beyond a reboot, which empties every cgroup hierarchy: a tmpfiles.d(5) file under systemd, an
//! init script under System V init. Writes texts as values.

use std::fmt::Write as _;

use super::command::{Command, quote};
use super::delegation;
use super::layout::CgroupLayout;
use super::machine::{Machine, ReadError};

/// What starts things on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// systemd, as process 1.
    Systemd,
    /// System V init with Debian's update-rc.d.
    SysV,
    /// Something that runs nothing of ours: a container's entry point, WSL without systemd, another init.
    Other,
}

/// A file that makes the delegation again at every boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Its path.
    pub path: String,
    /// Its whole text.
    pub text: String,
    script: Option<String>,
}

/// sd_booted(3) says how systemd is known. System V init is known by its table; WSL's own init is also called `init` but
/// reads no scripts.
pub(super) fn init(machine: &Machine) -> Result<Init, ReadError> {
    if machine.path("/run/systemd/system").is_dir() {
        return Ok(Init::Systemd);
    }
    let comm = machine.text("/proc/1/comm")?.unwrap_or_default();
    let release = machine.text("/proc/sys/kernel/osrelease")?.unwrap_or_default().to_lowercase();
    let sysv = comm.trim() == "init"
        && !release.contains("microsoft")
        && machine.path("/etc/inittab").is_file()
        && machine.program("update-rc.d").is_some();
    Ok(if sysv { Init::SysV } else { Init::Other })
}

/// The file for this machine; `None` where nothing of the kind helps or none is needed.
pub(super) fn keep(init: Init, layout: &CgroupLayout, name: &str, user: &str) -> Option<Keep> {
    match (init, layout) {
        (_, CgroupLayout::None(_)) | (Init::Other, _) | (Init::Systemd, CgroupLayout::V2 { .. }) => None,
        (Init::Systemd, CgroupLayout::V1 { .. }) => Some(Keep {
            path: format!("/etc/tmpfiles.d/{name}.conf"),
            text: tmpfiles(layout, name, user),
            script: None,
        }),
        (Init::SysV, _) => {
            let script = format!("{name}-cgroup");
            let text = init_script(layout, &script, name, user);
            Some(Keep { path: format!("/etc/init.d/{script}"), text, script: Some(script) })
        }
    }
}

impl Keep {
    /// Whether the file is there as it should be, and linked to be run.
    pub(super) fn done(&self, machine: &Machine) -> Result<bool, ReadError> {
        let linked = self.script.as_ref().is_none_or(|script| {
            std::fs::read_dir(machine.path("/etc/rc2.d")).is_ok_and(|entries| {
                entries.flatten().any(|entry| {
                    let name = entry.file_name();
                    name.to_str().is_some_and(|name| name.starts_with('S') && name.ends_with(script.as_str()))
                })
            })
        });
        Ok(linked && machine.text(&self.path)?.as_deref() == Some(self.text.as_str()))
    }

    /// The commands that put it in place.
    pub(super) fn commands(&self) -> Vec<Command> {
        let mode = if self.script.is_some() { "0755" } else { "0644" };
        let mut commands = Command::write(&self.path, mode, &self.text);
        commands.extend(self.script.as_ref().map(|script| Command::new(["update-rc.d", script, "defaults"])));
        commands
    }
}

/// `d` makes a directory with its owner, `z` sets owner and mode of what exists.
fn tmpfiles(layout: &CgroupLayout, name: &str, user: &str) -> String {
    let mut text =
        format!("# Written by `casemate setup`: the cgroups that {user} may use, made again at every boot.\n");
    for directory in layout.directories(name) {
        let path = directory.display();
        for (kind, path, mode) in [
            ('d', path.to_string(), "0755"),
            ('z', format!("{path}/cgroup.procs"), "0644"),
            ('z', format!("{path}/tasks"), "0644"),
        ] {
            // Without a group, systemd-tmpfiles leaves root's. Nothing here needs one.
            let _ = writeln!(text, "{kind} \"{path}\" {mode} {user} - -");
        }
    }
    text
}

fn init_script(layout: &CgroupLayout, script: &str, name: &str, user: &str) -> String {
    let commands: String = delegation::commands(layout, name, user).iter().fold(String::new(), |mut text, command| {
        let _ = writeln!(text, "    {}", command.argv.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "));
        text
    });
    format!(
        "#!/bin/sh\n\
         ### BEGIN INIT INFO\n\
         # Provides:          {script}\n\
         # Required-Start:    $local_fs $remote_fs\n\
         # Required-Stop:\n\
         # Should-Start:      cgroupfs-mount cgroup-lite\n\
         # Default-Start:     2 3 4 5\n\
         # Default-Stop:\n\
         # Short-Description: cgroups that casemate may use\n\
         ### END INIT INFO\n\
         # Written by `casemate setup`: a reboot empties the cgroup hierarchies.\n\
         set -e\n\
         PATH=/usr/sbin:/usr/bin:/sbin:/bin\n\
         case \"$1\" in\n\
         start|restart|force-reload)\n{commands}    ;;\n\
         stop|status) ;;\n\
         *) echo \"usage: $0 start\" >&2; exit 2 ;;\n\
         esac\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::provision::tests::tree;

    fn together() -> CgroupLayout {
        let cpu: std::path::PathBuf = "/cg/cpu,cpuacct".into();
        CgroupLayout::V1 { memory: "/cg/memory".into(), pids: "/cg/pids".into(), cpu: cpu.clone(), cpuacct: cpu }
    }

    #[test]
    fn the_init_is_known_by_what_it_leaves() {
        let sysv = [("/proc/1/comm", "init\n"), ("/etc/inittab", ""), ("/usr/sbin/update-rc.d", "#!")];
        let wsl = [sysv[0], sysv[1], sysv[2], ("/proc/sys/kernel/osrelease", "5.15-Microsoft-standard-WSL2\n")];
        let cases: [(&[(&str, &str)], Init); 4] = [
            (&sysv, Init::SysV),
            (&wsl, Init::Other),
            (&[("/run/systemd/system/x", "")], Init::Systemd),
            (&[("/proc/1/comm", "sh\n")], Init::Other),
        ];
        for (files, want) in cases {
            let (_guard, machine) = tree(files);
            assert_eq!(init(&machine).unwrap(), want, "{files:?}");
        }
    }

    #[test]
    fn tmpfiles_names_each_directory_once() {
        let keep = keep(Init::Systemd, &together(), "casemate", "casemate").unwrap();
        assert_eq!(keep.path, "/etc/tmpfiles.d/casemate.conf");
        assert_eq!(keep.text.lines().filter(|line| line.starts_with("d ")).count(), 3);
        assert!(keep.text.contains("d \"/cg/cpu,cpuacct/casemate\" 0755 casemate - -\n"), "{}", keep.text);
    }

    #[test]
    fn the_script_is_a_shell_script_and_is_linked() {
        for layout in [together(), CgroupLayout::V2 { mount: "/cg".into() }] {
            let keep = keep(Init::SysV, &layout, "casemate-ann", "ann").unwrap();
            let (guard, machine) = tree(&[(&keep.path, &keep.text)]);
            let file = guard.path().join("etc/init.d/casemate-ann-cgroup");
            assert!(std::process::Command::new("sh").arg("-n").arg(file).status().unwrap().success());
            assert!(!keep.done(&machine).unwrap(), "not linked");
            std::fs::create_dir_all(machine.path("/etc/rc2.d")).unwrap();
            std::fs::write(machine.path("/etc/rc2.d/S03casemate-ann-cgroup"), "").unwrap();
            assert!(keep.done(&machine).unwrap());
            assert_eq!(keep.commands().last().unwrap().shell(), "update-rc.d casemate-ann-cgroup defaults");
        }
    }

    #[test]
    fn nothing_is_written_where_nothing_would_read_it() {
        assert_eq!(keep(Init::Other, &together(), "casemate", "casemate"), None);
        let v2 = CgroupLayout::V2 { mount: "/cg".into() };
        assert_eq!(keep(Init::Systemd, &v2, "casemate", "casemate"), None);
    }
}
