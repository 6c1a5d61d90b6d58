//! What can be wrong with a machine, as a list: a word for each that programs can rely on, and that a test is held against.

macro_rules! problems {
    ($($(#[$what:meta])+ $name:ident $id:literal,)+) => {
        /// What a finding is about that is not as it should be.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Problem {
            $($(#[$what])+ $name,)+
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
        }
    };
}

problems! {
    /// A program or a file is not there.
    ProgramMissing "program-missing",
    /// A helper has neither the setuid bit nor file capabilities.
    HelperPowerless "helper-powerless",
    /// `user.max_user_namespaces` is 0.
    UsernsNone "userns-none",
    /// A kernel of Debian's leaves user namespaces to root.
    UsernsRoot "userns-root",
    /// AppArmor takes the capabilities of a user namespace away.
    UsernsApparmor "userns-apparmor",
    /// This process has no_new_privs.
    NoNewPrivs "no-new-privs",
    /// Capabilities are not in the bounding set.
    Capabilities "capabilities",
    /// A filter of system calls was there before us, and refuses what we need.
    OuterFilter "outer-filter",
    /// There is no account.
    AccountMissing "account-missing",
    /// The account is root.
    AccountRoot "account-root",
    /// There is no home.
    HomeMissing "home-missing",
    /// The home cannot be passed through.
    HomeClosed "home-closed",
    /// The home is somebody else's.
    HomeForeign "home-foreign",
    /// No subordinate ids are lent.
    IdsMissing "ids-missing",
    /// Those that are lent are not in the container that this is.
    IdsBeyond "ids-beyond",
    /// There is no hierarchy in which limits can be set.
    CgroupNowhere "cgroup-nowhere",
    /// None has been handed over.
    CgroupIncomplete "cgroup-incomplete",
    /// The one of our name is somebody else's.
    CgroupForeign "cgroup-foreign",
    /// It cannot be handed over.
    CgroupRefused "cgroup-refused",
    /// The user's systemd manager does not run.
    ManagerDown "manager-down",
    /// It was not given all controllers.
    ManagerNarrow "manager-narrow",
    /// What is handed over will be gone after a reboot, or is made again by whoever starts the service.
    RebootLoses "reboot-loses",
    /// The kernel's filters lack an answer.
    SeccompActions "seccomp-actions",
    /// The kernel is older than what casemate uses where it is there.
    KernelOld "kernel-old",
    /// There is no runtime that answers.
    RuntimeUnusable "runtime-unusable",
    /// It cannot filter system calls.
    RuntimeWithoutSeccomp "runtime-without-seccomp",
    /// It has a hole that is known.
    RuntimeHole "runtime-hole",
    /// There is no image.
    ImageMissing "image-missing",
    /// It is not what was made.
    ImageChanged "image-changed",
    /// It cannot be looked at.
    ImageUnread "image-unread",
    /// The disk takes nothing.
    DiskFull "disk-full",
    /// The disk takes no image.
    DiskLow "disk-low",
    /// An address cannot be listened at.
    AddressTaken "address-taken",
    /// Anybody could submit.
    ClientsAnybody "clients-anybody",
    /// The file of tokens cannot be used.
    TokensUnusable "tokens-unusable",
    /// No user namespace can be made.
    NamespacesRefused "namespaces-refused",
    /// No ids can be mapped into it.
    IdsUnmapped "ids-unmapped",
    /// /proc cannot be mounted in it.
    ProcMasked "proc-masked",
    /// Nothing else can be, or nobody can become root in it.
    MountsRefused "mounts-refused",
    /// The service cannot confine itself.
    Unconfined "unconfined",
    /// Something else keeps it from its namespaces.
    NotEntered "not-entered",
    /// The trial ended before it had said anything.
    TrialLost "trial-lost",
    /// Nothing was tried, for something else is missing.
    Untried "untried",
    /// A limit cannot be set.
    LimitsRefused "limits-refused",
    /// A hard limit of the service's own is too low.
    HardLimits "hard-limits",
    /// The stage cannot be built.
    StageRefused "stage-refused",
    /// A container cannot be made, or does not hold.
    ContainerFailed "container-failed",
}

impl Problem {
    /// The one of this word.
    #[must_use]
    pub fn of(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|problem| problem.id() == id)
    }
}
