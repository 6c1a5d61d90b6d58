//! What can be wrong with a machine, as a list: a word for each that programs can rely on, and that a test is held against;
//! what it means and what mends it, for the page that lists them.

macro_rules! problems {
    ($($(#[doc = $what:literal])+ $name:ident $id:literal $mend:literal,)+) => {
        /// What a finding is about that is not as it should be.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Problem {
            $($(#[doc = $what])+ $name,)+
        }

        impl Problem {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its word.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)+
                }
            }

            /// What it means: the words above its name.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($what),+).trim_ascii(),)+
                }
            }

            /// What mends it, whatever caused it. What stands first between backquotes the finding says too.
            #[must_use]
            pub const fn mend(self) -> &'static str {
                match self {
                    $(Self::$name => $mend,)+
                }
            }
        }
    };
}

problems! {
    /// A program or a file is not there.
    ProgramMissing "program-missing"
        "`casemate setup`",
    /// A helper has neither the setuid bit nor file capabilities.
    HelperPowerless "helper-powerless"
        "`casemate setup`",
    /// `user.max_user_namespaces` is 0.
    UsernsNone "userns-none"
        "`sysctl -w user.max_user_namespaces=15000`",
    /// A kernel of Debian's leaves user namespaces to root.
    UsernsRoot "userns-root"
        "`sysctl -w kernel.unprivileged_userns_clone=1`",
    /// AppArmor takes the capabilities of a user namespace away.
    UsernsApparmor "userns-apparmor"
        "load the profile `casemate.apparmor`; or `sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`",
    /// This process has no_new_privs.
    NoNewPrivs "no-new-privs"
        "systemd: `NoNewPrivileges=no`; podman and docker: no `--security-opt no-new-privileges`; Kubernetes: `allowPrivilegeEscalation: true`",
    /// Capabilities are not in the bounding set.
    Capabilities "capabilities"
        "podman and docker: `--cap-add chown,dac_override,setgid,setuid`; Kubernetes: `capabilities.add: [CHOWN, DAC_OVERRIDE, SETGID, SETUID]`; systemd: `CapabilityBoundingSet=`",
    /// A filter of system calls was there before us, and refuses what we need.
    OuterFilter "outer-filter"
        "podman: its own filter with two calls more (docs/CONTAINERS.md); docker: `--security-opt seccomp=unconfined`; Kubernetes: `seccompProfile: Unconfined`; systemd: `SystemCallFilter=`",
    /// There is no account.
    AccountMissing "account-missing"
        "`casemate setup`",
    /// The account is root.
    AccountRoot "account-root"
        "name another account with `CASEMATE_ACCOUNT`",
    /// There is no home.
    HomeMissing "home-missing"
        "`casemate setup`",
    /// The home cannot be passed through.
    HomeClosed "home-closed"
        "`casemate setup`",
    /// The home is somebody else's.
    HomeForeign "home-foreign"
        "move it away, or name another home with `CASEMATE_HOME`",
    /// No subordinate ids are lent.
    IdsMissing "ids-missing"
        "`casemate setup`",
    /// The ids that are lent are not in the container that this is.
    IdsBeyond "ids-beyond"
        "give the container 65536 ids more, in one piece, and lend those. podman: `usermod --add-subuids` outside; Kubernetes: `hostUsers: false`",
    /// There is no hierarchy in which limits can be set.
    CgroupNowhere "cgroup-nowhere"
        "a kernel or container with writable cgroups of its own. podman: `--security-opt unmask=/sys/fs/cgroup`; Kubernetes: containerd's `cgroup_writable`",
    /// No cgroup has been handed over.
    CgroupIncomplete "cgroup-incomplete"
        "`casemate setup`",
    /// The cgroup of our name is somebody else's.
    CgroupForeign "cgroup-foreign"
        "`rmdir` what it names, and `casemate setup`",
    /// The cgroup cannot be handed over.
    CgroupRefused "cgroup-refused"
        "`casemate setup`; in a container writable cgroups of its own. podman: `--security-opt unmask=/sys/fs/cgroup`; Kubernetes: containerd's `cgroup_writable`",
    /// The user's systemd manager does not run.
    ManagerDown "manager-down"
        "`casemate setup`",
    /// The user's systemd manager was not given all controllers.
    ManagerNarrow "manager-narrow"
        "`casemate setup`; then log out of every session and in again, or reboot",
    /// What is handed over will be gone after a reboot, or is made again by whoever starts the service.
    RebootLoses "reboot-loses"
        "`casemate setup`; without an init system start the service as root, which makes them again",
    /// The kernel's filters lack an answer.
    SeccompActions "seccomp-actions"
        "a kernel with `CONFIG_SECCOMP_FILTER`",
    /// The kernel is older than what casemate uses where it is there.
    KernelOld "kernel-old"
        "a newer kernel, if what it names matters",
    /// There is no runtime that answers.
    RuntimeUnusable "runtime-unusable"
        "`casemate setup`, or another program with `CASEMATE_RUNTIME_PATH`",
    /// The runtime cannot filter system calls.
    RuntimeWithoutSeccomp "runtime-without-seccomp"
        "a distribution's own crun or runc",
    /// The runtime has a hole that is known.
    RuntimeHole "runtime-hole"
        "`apt-get install --only-upgrade` and the runtime's package, or a later release",
    /// There is no image.
    ImageMissing "image-missing"
        "`casemate image build`, or where there is no recipe `casemate image import`, with the name that it says",
    /// An image is not what was made.
    ImageChanged "image-changed"
        "`casemate image build` with the name and `--rebuild`; of what was imported `casemate image import` once more",
    /// An image cannot be looked at.
    ImageUnread "image-unread"
        "ask again as root, or as whoever serves",
    /// The disk takes nothing.
    DiskFull "disk-full"
        "make room, or lower `store.reserve_mib`",
    /// The disk takes no image.
    DiskLow "disk-low"
        "make room before images are built",
    /// An address cannot be listened at.
    AddressTaken "address-taken"
        "`ss -ltnp` shows who has it; `PORT` and `CASEMATE_LISTEN` choose another",
    /// Anybody could submit.
    ClientsAnybody "clients-anybody"
        "[Who may submit](OPERATIONS.md#who-may-submit): name a file of tokens with `CASEMATE_TOKENS`",
    /// The file of tokens cannot be used.
    TokensUnusable "tokens-unusable"
        "correct the file of tokens, or name another with `CASEMATE_TOKENS`",
    /// No user namespace can be made.
    NamespacesRefused "namespaces-refused"
        "the switches `user.max_user_namespaces`, `kernel.unprivileged_userns_clone` and `kernel.apparmor_restrict_unprivileged_userns`; in a container a filter that lets unshare(2) through; where it says `EACCES`, the profile `casemate.apparmor`",
    /// No ids can be mapped into the service's user namespace.
    IdsUnmapped "ids-unmapped"
        "`casemate setup`; no `no_new_privs`, no mount with `nosuid`; `CAP_SETUID` and `CAP_SETGID` in the bounding set",
    /// /proc cannot be mounted in the service's namespaces, for parts of the one here are masked.
    ProcMasked "proc-masked"
        "podman: `--security-opt 'unmask=/proc/*'`; docker: `--security-opt systempaths=unconfined`; Kubernetes: `hostUsers: false` and `procMount: Unmasked`; systemd: no `ProtectKernelTunables=`, `ProtectKernelLogs=` and `ProcSubset=`",
    /// Nothing can be mounted in the service's namespaces, or nobody can become root there.
    MountsRefused "mounts-refused"
        "`sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`, or a profile that allows it; in a container no filter and no profile that forbids mounts",
    /// The service cannot confine itself.
    Unconfined "unconfined"
        "a kernel with `CONFIG_SECCOMP_FILTER`; in a container a profile that lets it mount and make filters",
    /// Something else keeps the service from its namespaces.
    NotEntered "not-entered"
        "`casemate setup`",
    /// The trial ended before it had said anything.
    TrialLost "trial-lost"
        "`casemate serve`, whose log says more",
    /// Nothing was tried, for something else is missing.
    Untried "untried"
        "mend that, then ask again",
    /// A limit cannot be set.
    LimitsRefused "limits-refused"
        "`casemate setup`; in a container writable cgroups of its own. podman: `--cgroupns=private --security-opt unmask=/sys/fs/cgroup`; Kubernetes: containerd's `cgroup_writable`; systemd: `Delegate=cpu memory pids`, no `ProtectControlGroups=`",
    /// A hard limit of the service's own is too low.
    HardLimits "hard-limits"
        "what it says; systemd: `Limit…=` of the unit; sudo: `rlimit_…` in sudoers",
    /// The stage cannot be built.
    StageRefused "stage-refused"
        "make one of `/mnt`, `/media`, `/srv` and `/opt`; or a kernel that allows tmpfs in a user namespace, Linux 5.11 or later",
    /// A container cannot be made, or does not hold.
    ContainerFailed "container-failed"
        "[The start](#the-start) has the message",
}

impl Problem {
    /// The one of this word.
    #[must_use]
    pub fn of(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|problem| problem.id() == id)
    }
}
