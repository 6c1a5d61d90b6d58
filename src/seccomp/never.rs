//! System calls that the service has the kernel refuse to itself, and so to everything that it starts: the runtimes, and
//! every job, whatever its profile says. Not what a job is to be kept from, which is much more, but what nobody here asks
//! for. A table; `host::confine` makes a filter of it.

use super::calls::Call;

/// Calls, and why nobody here needs them.
#[derive(Clone, Copy, Debug)]
pub struct Never {
    /// What they are.
    pub group: &'static str,
    /// What they could be used for.
    pub why: &'static str,
    /// Their names.
    pub names: &'static [&'static str],
}

/// All of them. `keyctl` is among them because runtimes are told to make no keyring; what is not: what a launch needs
/// (namespaces, mounts, filters), and ptrace, with which `casemate seccomp trace` watches.
pub const NEVER: &[Never] = &[
    Never {
        group: "kernel code",
        why: "replaces or extends the kernel",
        names: &["delete_module", "finit_module", "init_module", "kexec_file_load", "kexec_load"],
    },
    Never {
        group: "programs in the kernel",
        why: "a long row of exploits. crun and runc ask bpf for a filter of devices on cgroup v2, and go on where it is refused",
        names: &["bpf", "perf_event_open"],
    },
    Never {
        group: "io_uring",
        why: "a second way into the kernel, which passes by every filter",
        names: &["io_uring_enter", "io_uring_register", "io_uring_setup"],
    },
    Never { group: "userfaultfd", why: "holds the kernel still inside a copy", names: &["userfaultfd"] },
    Never {
        group: "keyrings",
        why: "are not all separated by namespaces, and count against the account",
        names: &["add_key", "keyctl", "request_key"],
    },
    Never {
        group: "files past their paths",
        why: "opens files by number, past every mount; marks whole file systems",
        names: &["fanotify_init", "fanotify_mark", "open_by_handle_at"],
    },
    Never {
        group: "clocks",
        why: "sets the clock of the machine",
        names: &["adjtimex", "clock_adjtime", "clock_settime", "settimeofday"],
    },
    Never {
        group: "the machine",
        why: "ends, swaps, times or accounts for the whole machine, reads its log, hangs up its terminals",
        names: &[
            "acct",
            "lookup_dcookie",
            "nfsservctl",
            "quotactl",
            "quotactl_fd",
            "reboot",
            "swapoff",
            "swapon",
            "syslog",
            "vhangup",
        ],
    },
    Never {
        group: "hardware and segments",
        why: "ports of the hardware, and descriptor tables of 16-bit programs",
        names: &["ioperm", "iopl", "modify_ldt"],
    },
    Never {
        group: "pages of others",
        why: "moves the memory of another process about",
        names: &["migrate_pages", "move_pages"],
    },
];

/// Calls of ioctl that put words into a terminal: TIOCSTI and TIOCLINUX. The kernel looks at the low 32 bits.
pub const NEVER_IOCTL: [u32; 2] = [0x5412, 0x541c];

/// The families of sockets that are needed, by number: AF_UNIX, AF_INET and AF_INET6, and AF_NETLINK, with which a runtime
/// sets up a loopback interface. Of every other family none can be made.
pub const SOCKETS: [u32; 4] = [1, 2, 10, 16];

/// Their numbers on this machine.
pub fn never() -> impl Iterator<Item = u64> {
    let names = NEVER.iter().flat_map(|one| one.names);
    names.filter_map(|name| Call::of(name).ok()?.number)
}

/// The group that a call is in.
pub(super) fn group_of(name: &str) -> Option<&'static Never> {
    NEVER.iter().find(|one| one.names.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::format::Action;
    use crate::seccomp::{BUILT_IN, Profiles};

    #[test]
    fn no_profile_of_ours_allows_what_nobody_may() {
        let all = Profiles::load(None).unwrap();
        assert!(all.iter().count() >= BUILT_IN.len());
        for (profile, known) in all.iter() {
            let allowed = known.rules().iter().filter(|rule| rule.action == Action::Allow);
            let both: Vec<&String> = allowed.flat_map(|rule| &rule.names).filter(|n| group_of(n).is_some()).collect();
            assert!(both.is_empty(), "{profile} allows {both:?}, and nobody would ever get an answer");
        }
    }

    #[test]
    fn every_name_is_a_call_and_stands_once() {
        let names: Vec<&str> = NEVER.iter().flat_map(|one| one.names).copied().collect();
        for name in &names {
            assert_eq!(Call::of(name).unwrap().name, Some(*name));
            assert_eq!(names.iter().filter(|other| other == &name).count(), 1, "{name}");
        }
        let here = never().count();
        assert!(here <= names.len() && here > 25, "{here}");
    }
}
