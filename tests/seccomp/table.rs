//! What has to come of system calls, whatever the profiles say: written anew from the list of attacks, so that a change
//! of a profile alone turns the tests red.

/// Refused with EPERM under every profile, whatever the arguments.
pub const REFUSED: [&[&str]; 18] = [
    &["setns", "unshare"],
    &["mount", "umount2", "pivot_root", "chroot"],
    &["fsopen", "fsconfig", "fsmount", "fspick", "open_tree", "move_mount", "mount_setattr"],
    &["ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise", "process_mrelease"],
    &["io_uring_setup", "io_uring_enter", "io_uring_register"],
    &["io_setup", "io_destroy", "io_submit", "io_cancel", "io_getevents", "io_pgetevents"],
    &["userfaultfd", "bpf", "perf_event_open", "seccomp"],
    &["add_key", "request_key", "keyctl"],
    &["splice", "tee", "vmsplice"],
    &["fanotify_init", "fanotify_mark", "inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch"],
    &["name_to_handle_at", "open_by_handle_at"],
    &["sync", "syncfs"],
    &["kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module"],
    &["ioperm", "iopl", "modify_ldt"],
    &[
        "acct",
        "quotactl",
        "quotactl_fd",
        "swapon",
        "swapoff",
        "reboot",
        "syslog",
        "vhangup",
        "lookup_dcookie",
        "nfsservctl",
    ],
    &["sethostname", "setdomainname", "settimeofday", "stime", "clock_settime", "clock_adjtime", "adjtimex"],
    &["migrate_pages", "move_pages"],
    &["setrlimit"],
];

/// ENOSYS under every profile, whatever the arguments: new or rare, or libc has another way.
pub const UNKNOWN: [&str; 14] = [
    "clone3",
    "mbind",
    "set_mempolicy",
    "get_mempolicy",
    "landlock_create_ruleset",
    "landlock_restrict_self",
    "memfd_secret",
    "set_thread_area",
    "uselib",
    "ustat",
    "sysfs",
    "ioprio_set",
    "remap_file_pages",
    "_sysctl",
];

/// A system call of which an argument decides.
pub struct Filtered {
    pub name: &'static str,
    /// Arguments before the one that is tried.
    pub before: &'static [u64],
    pub tried: Vec<u64>,
    /// What the kernel looks at.
    pub mask: u64,
    /// Allowed under every profile.
    pub always: &'static [u64],
    /// Allowed under `run` and what builds upon it.
    pub run: &'static [u64],
    /// Allowed under this one profile too.
    pub only: (&'static str, &'static [u64]),
    /// Refused with EPERM; what is neither is unknown.
    pub refused: fn(u64) -> bool,
}

impl Filtered {
    /// Nothing is allowed, nothing refused.
    fn of(name: &'static str, tried: Vec<u64>) -> Self {
        let none: &[u64] = &[];
        Self {
            name,
            before: none,
            tried,
            mask: u64::MAX,
            always: none,
            run: none,
            only: ("", none),
            refused: |_| false,
        }
    }

    /// The errno that `argument` has to meet under `profile`; nothing where the kernel decides.
    pub fn wanted(&self, profile: &str, argument: u64) -> Option<i32> {
        let seen = argument & self.mask;
        let runs = profile == "run" || profile.starts_with("run+");
        let only = self.only.0 == profile && self.only.1.contains(&seen);
        let allowed = self.always.contains(&seen) || (runs && self.run.contains(&seen)) || only;
        match allowed {
            true => None,
            false if (self.refused)(argument) => Some(crate::filter::EPERM),
            false => Some(crate::filter::ENOSYS),
        }
    }
}

const LOW: u64 = 0xffff_ffff;

/// Each with nothing above the low 32 bits, and with something.
fn high(values: impl IntoIterator<Item = u64>) -> Vec<u64> {
    values.into_iter().flat_map(|low| [0, 1, 0x8000_0000, LOW].map(|high| high << 32 | low)).collect()
}

/// Every namespace of clone(2), but time, which shares its bit with the exit signal and is only for clone3 and unshare.
const NAMESPACES: u64 = 0x7e02_0000;

/// SIGCHLD: with nothing else, clone is fork.
const FORK: u64 = 17;

#[allow(clippy::too_many_lines, reason = "a table")]
pub fn filtered() -> Vec<Filtered> {
    let flags = (0..64).map(|bit| 1_u64 << bit);
    let namespaces: Vec<u64> = flags.clone().filter(|flag| flag & NAMESPACES != 0).collect();
    // Each alone, each with each other flag, all at once.
    let clones = namespaces.iter().flat_map(|space| flags.clone().map(move |flag| space | flag | FORK));
    vec![
        Filtered {
            always: &[FORK],
            refused: |flags| flags & NAMESPACES != 0,
            ..Filtered::of("clone", clones.chain([FORK, NAMESPACES | FORK, u64::MAX]).collect())
        },
        Filtered {
            before: &[0],
            mask: LOW,
            always: &[0x5401, 0x802c_542a, 0x5413, 0x541b, 0x5450, 0x5451],
            run: &[0x5402, 0x5403, 0x5404, 0x540f, 0x5410, 0x5421, 0x4004_9409],
            // TIOCSTI and TIOCLINUX.
            refused: |request| [0x5412, 0x541c].contains(&(request & LOW)),
            // All of tty_ioctl(4), some of files and sockets, and nothing.
            ..Filtered::of(
                "ioctl",
                high((0x5400..0x5470).chain([0x802c_542a, 0x4004_9409, 0x8901, 0x8912, 0x6601, 0, LOW])),
            )
        },
        Filtered {
            run: &[1],
            refused: |family| family != 1,
            ..Filtered::of("socket", (0..=46).chain([1 << 32 | 1, 1 << 32 | 2, 1 << 63 | 1, u64::MAX]).collect())
        },
        Filtered {
            run: &[1],
            only: ("compile+java", &[1]),
            refused: |family| family != 1,
            ..Filtered::of("socketpair", (0..=46).chain([1 << 32 | 1, 1 << 32 | 2, 1 << 63 | 1, u64::MAX]).collect())
        },
        Filtered {
            run: &[0, 0x4_0000, LOW],
            ..Filtered::of("personality", flags.clone().chain([0, 8, LOW, u64::MAX, 0x44_0000]).collect())
        },
        Filtered {
            always: &[1, 2, 3, 4, 15, 16, 38, 39, 0x5356_4d41],
            run: &[21, 23, 24, 29, 30, 36, 37, 41, 42, 47],
            // PR_SET_SECCOMP.
            refused: |option| option & LOW == 22,
            // All up to 100 once, PR_SET_PTRACER, and some with high bits.
            ..Filtered::of(
                "prctl",
                (0..100).chain(high([22, 35, 59])).chain([0x5356_4d41, 0x5961_6d61, 1 << 32 | 1]).collect(),
            )
        },
        Filtered {
            before: &[0],
            mask: LOW,
            always: &[0, 1, 2, 3, 4, 5, 6, 7, 1030],
            run: &[8, 9, 10, 11, 15, 16, 36, 37, 38, 1031, 1032, 1033, 1034],
            // Leases, notification, hints on inodes.
            refused: |command| [1024, 1025, 1026, 1035, 1036, 1037, 1038].contains(&(command & LOW)),
            ..Filtered::of("fcntl", high((0..50).chain(1020..1045)))
        },
        // SOL_SOCKET, and the options of socket(7); 26 is SO_ATTACH_FILTER.
        Filtered {
            before: &[0, 1],
            run: &[2, 7, 8, 13, 16, 20, 21],
            ..Filtered::of("setsockopt", (0..90).chain([1 << 32 | 26, 1 << 32 | 2]).collect())
        },
        // No other level: that of IP and TCP, and of netlink.
        Filtered { before: &[0, 0], ..Filtered::of("setsockopt", (0..50).collect()) },
        Filtered { before: &[0, 6], ..Filtered::of("setsockopt", (0..50).collect()) },
        Filtered { before: &[0, 270], ..Filtered::of("setsockopt", (0..20).collect()) },
        // Process 1 is the init, which has the job's uid, so that the kernel would let its limits be changed.
        Filtered { always: &[0], ..Filtered::of("prlimit64", vec![0, 1, 2, 1 << 32, u64::MAX]) },
        // RLIMIT_CORE is 4: it may be asked for, and not be set to anything.
        Filtered {
            before: &[0],
            mask: LOW,
            always: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            ..Filtered::of("prlimit64", high((0..20).chain([LOW])))
        },
        Filtered {
            before: &[0, 4],
            always: &[0],
            refused: |new| new != 0,
            ..Filtered::of("prlimit64", vec![0, 1, 1 << 32, u64::MAX])
        },
        Filtered {
            before: &[0, 1 << 32 | 4],
            always: &[0],
            refused: |new| new != 0,
            ..Filtered::of("prlimit64", vec![0, 1, 1 << 32, u64::MAX])
        },
        // Flags of preadv2(2): all but RWF_NOWAIT.
        Filtered {
            before: &[0, 0, 0, 0, 0],
            run: &[0, 1, 2, 4, 16],
            ..Filtered::of("preadv2", vec![0, 1, 2, 4, 8, 9, 16, 0xf])
        },
        Filtered {
            before: &[0, 0, 0, 0, 0],
            run: &[0, 1, 2, 4, 16],
            ..Filtered::of("pwritev2", vec![0, 1, 2, 4, 8, 9, 16, 0xf])
        },
    ]
}
