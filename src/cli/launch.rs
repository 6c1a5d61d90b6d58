//! From the command line into the service's namespaces: who serves, with which settings, in which cgroup, as whom.
//! Everything here happens before the first thread exists.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Args;
use nix::sys::prctl;
use nix::unistd::{Gid, Uid, User, geteuid, setgroups, setresgid, setresuid};
use thiserror::Error;

use crate::config::{
    self, Defaults, LoadError, Loaded, RuntimeChoice, Settings, TokenEntry, TokensError, UnenforcedLimits,
};
use crate::host::ids::{Owner, SubIdsError, subordinate};
use crate::host::provision::systemd::{Manager, scope_call};
use crate::host::provision::{
    self, ACCOUNT, CGROUP, DelegateError, Delegated, Finding, SUBORDINATE_IDS, Standing, Wanted, Who, WhoError,
    delegate, delegated,
};
use crate::host::rlimits::allow_no_core;
use crate::host::userns::{self, EnterError, Entered, Ranges};
use crate::image::Recipes;
use crate::language::Languages;
use crate::seccomp::Profiles;
use crate::server::Definitions;
use crate::telemetry::chain;

/// Why the service does not get as far as its namespaces.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub(super) enum LaunchError {
    #[error(transparent)]
    Settings(#[from] LoadError),
    #[error(transparent)]
    Tokens(#[from] TokensError),
    #[error(transparent)]
    Who(#[from] WhoError),
    #[error("account {0} does not exist: run `casemate setup`")]
    NoAccount(String),
    #[error("account {0} cannot be looked up")]
    Lookup(String, #[source] nix::errno::Errno),
    #[error("{}", .0.join("\n"))]
    Definitions(Vec<String>),
    #[error(transparent)]
    Delegate(#[from] DelegateError),
    #[error("a systemd scope cannot be had")]
    Scope(#[source] std::io::Error),
    #[error(transparent)]
    SubIds(#[from] SubIdsError),
    #[error("the privileges of root cannot be given up")]
    Drop(#[source] nix::errno::Errno),
    #[error("the cgroup of the service cannot be divided")]
    Divide(#[source] std::io::Error),
    #[error(transparent)]
    Enter(#[from] EnterError),
}

impl LaunchError {
    /// The name of the finding that says the same, where there is one.
    pub(super) const fn finding(&self) -> Option<&'static str> {
        match self {
            Self::NoAccount(_) => Some(ACCOUNT),
            Self::SubIds(_) => Some(SUBORDINATE_IDS),
            Self::Delegate(_) => Some(CGROUP),
            _ => None,
        }
    }
}

/// What may be dispensed with.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Weakness {
    /// Where no cgroup can be had, start all the same: memory and processor time are then only looked at from time to
    /// time, and the share of the processor is not enforced
    #[arg(long)]
    allow_unenforced_limits: bool,
}

/// Who serves and with which settings; nothing has been changed yet.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) settings: Settings,
    pub(super) wanted: Wanted,
    pub(super) who: Who,
    /// The settings as they were read, with where each came from.
    pub(super) loaded: Loaded,
    settings_dir: PathBuf,
}

impl Launch {
    /// Reads the settings for whoever calls.
    pub(super) fn read(weakness: Weakness) -> Result<Self, LaunchError> {
        let root = geteuid().is_root();
        let own = User::from_uid(geteuid()).ok().flatten().map(|user| user.dir);
        let settings_dir = match own.filter(|_| !root) {
            Some(home) => home.join(".config/casemate"),
            None => PathBuf::from("/etc/casemate"),
        };
        let settings_dir = std::env::var_os("CASEMATE_SETTINGS").map_or(settings_dir, PathBuf::from);
        let home = Who::discover(&Wanted::default())?.home;
        // A definition that cannot be read is a mistake of its own, told by `definitions`.
        let languages = Languages::load(overrides(&settings_dir)).ok();
        let names: Option<Vec<&str>> = languages.as_ref().map(|languages| languages.names().collect());
        let loaded = config::load(&settings_dir, Defaults { home: home.clone() }, names.as_deref())?;
        let mut settings = loaded.settings.clone();
        if weakness.allow_unenforced_limits {
            settings.unenforced_limits = UnenforcedLimits::Allow;
        }
        let wanted = Wanted {
            account: settings.account.clone(),
            home: (settings.home != home).then(|| settings.home.clone()),
            runc: settings.runtime == RuntimeChoice::Runc,
            without_cgroup: settings.unenforced_limits == UnenforcedLimits::Allow,
        };
        let who = Who::discover(&wanted)?;
        Ok(Self { settings, wanted, who, loaded, settings_dir })
    }

    /// Languages, profiles and recipes: ours and those of the settings directory.
    pub(super) fn definitions(&self) -> Result<Definitions, LaunchError> {
        let overrides = overrides(&self.settings_dir);
        let mut mistakes = Vec::new();
        let languages = gather(Languages::load(overrides), &mut mistakes);
        let profiles = gather(Profiles::load(overrides), &mut mistakes);
        let recipes = gather(Recipes::load(overrides), &mut mistakes);
        match (languages, profiles, recipes) {
            (Some(languages), Some(profiles), Some(recipes)) if mistakes.is_empty() => {
                Ok(Definitions { languages, profiles, recipes })
            }
            _ => Err(LaunchError::Definitions(mistakes)),
        }
    }

    /// The tokens of the file that the settings name; none where they name none.
    pub(super) fn tokens(&self) -> Result<Vec<TokenEntry>, LaunchError> {
        let Some(path) = &self.settings.tokens else { return Ok(Vec::new()) };
        Ok(config::tokens(path, &self.settings.ceilings)?)
    }

    /// Where the settings directory is or would be, for people.
    pub(super) fn place(&self) -> String {
        self.settings_dir.display().to_string()
    }

    /// The settings directory, where there is one.
    pub(super) fn overrides(&self) -> Option<&Path> {
        overrides(&self.settings_dir)
    }

    /// The account that serves, where root started us.
    fn account(&self) -> Result<Option<User>, LaunchError> {
        if !self.who.service {
            return Ok(None);
        }
        match User::from_name(&self.who.name) {
            Ok(Some(user)) => Ok(Some(user)),
            Ok(None) => Err(LaunchError::NoAccount(self.who.name.clone())),
            Err(errno) => Err(LaunchError::Lookup(self.who.name.clone(), errno)),
        }
    }

    /// Becomes the service account for good, where root started us.
    pub(super) fn drop_root(&self) -> Result<(), LaunchError> {
        let Some(user) = self.account()? else { return Ok(()) };
        allow_no_core();
        become_user(user.uid, user.gid).map_err(LaunchError::Drop)
    }

    /// Drops root for good and enters the namespaces. In the process that stays outside this returns its exit status
    /// once the service has ended.
    pub(super) fn enter(&self) -> Result<Inside, LaunchError> {
        self.account()?;
        self.ensure_scope()?;
        self.enter_with(self.delegation_or_none()?)
    }

    /// None where it cannot be had and is not insisted on.
    fn delegation_or_none(&self) -> Result<Delegated, DelegateError> {
        match self.delegation() {
            Err(error) if self.settings.unenforced_limits == UnenforcedLimits::Allow => {
                tracing::warn!("no cgroup: {}", chain(&error));
                Ok(Delegated::Nothing)
            }
            found => found,
        }
    }

    /// The cgroup of a trial, which needs none where there is none (`limited`) to show whether there are namespaces. To be
    /// called by the process that waits for the trial: it is not in the way of it afterwards.
    pub(super) fn cgroup_for_trial(&self, limited: bool) -> Result<Delegated, LaunchError> {
        self.account()?;
        let delegated = if limited { self.delegation_or_none()? } else { Delegated::Nothing };
        if matches!(delegated, Delegated::V2 { inside: true, .. }) {
            leave_top(&delegated, "waits").map_err(LaunchError::Divide)?;
        }
        Ok(delegated)
    }

    /// The same as [`Self::enter`], with the cgroup of [`Self::cgroup_for_trial`], in a child of who called that. The namespace
    /// of cgroups begins at the top, to which the child goes back first.
    pub(super) fn enter_for_trial(&self, delegated: Delegated) -> Result<Inside, LaunchError> {
        if let Delegated::V2 { directory, inside: true } = &delegated {
            std::fs::write(directory.join("cgroup.procs"), "0").map_err(LaunchError::Divide)?;
        }
        self.enter_with(delegated)
    }

    fn delegation(&self) -> Result<Delegated, DelegateError> {
        if self.who.service { delegate(&self.who) } else { delegated(&self.who) }
    }

    fn enter_with(&self, delegated: Delegated) -> Result<Inside, LaunchError> {
        let account = self.account()?;
        let uid = account.as_ref().map_or_else(geteuid, |user| user.uid);
        if let (Delegated::V2 { directory, inside: false }, Some(user)) = (&delegated, &account) {
            let name = format!("service-{}", std::process::id());
            delegated.enter(&name, user.uid.as_raw(), user.gid.as_raw())?;
            let control = directory.join("cgroup.subtree_control");
            std::fs::write(control, "+memory +pids +cpu").map_err(LaunchError::Divide)?;
        }
        let ids = subordinate(Path::new("/"), Owner { name: &self.who.name, uid: Some(uid.as_raw()) })?;
        self.drop_root()?;
        let ranges = Ranges { uid: ids.uids.first, gid: ids.gids.first };
        match userns::enter(ranges, &self.own(&delegated), || leave_top(&delegated, "server"))? {
            Entered::Outer(status) => Ok(Inside::Ended(status)),
            Entered::Inner => Ok(Inside::Serve(delegated)),
        }
    }

    /// Where the service writes: its home, and on v1 the cgroups that were handed over. On v2 it mounts those itself.
    fn own<'a>(&'a self, delegated: &'a Delegated) -> Vec<&'a Path> {
        let home = self.settings.home.as_path();
        match delegated {
            Delegated::V1 { memory, pids, cpu, cpuacct } => vec![home, memory, pids, cpu, cpuacct],
            Delegated::V2 { .. } | Delegated::Nothing => vec![home],
        }
    }

    /// What the machine lacks, in the words of the doctor; for a start that failed before its namespaces.
    pub(super) fn missing(&self) -> Vec<Finding> {
        let mut found = provision::check(&self.wanted, &self.who).unwrap_or_default();
        found.retain(|finding| finding.standing == Standing::Missing);
        found
    }

    /// Under systemd on v2 this program starts again from its beginning, in a scope of its own, unless it is in one. Hence
    /// nothing may have been consumed before this, standard input above all; [`Self::enter`] calls it if nobody has.
    pub(super) fn ensure_scope(&self) -> Result<(), LaunchError> {
        match delegated(&self.who) {
            Err(DelegateError::NotInScope) => Err(self.in_scope()),
            // Anything else is for whoever takes the delegation, who may be able to mend it.
            _ => Ok(()),
        }
    }

    /// Starts this program again in a systemd scope of its own; returns only when that fails.
    fn in_scope(&self) -> LaunchError {
        let manager = match self.who.uid {
            Some(uid) => Manager::User { uid },
            None => Manager::System,
        };
        let exe = match std::env::current_exe() {
            Ok(exe) => exe.to_string_lossy().into_owned(),
            Err(error) => return LaunchError::Scope(error),
        };
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let call = scope_call(manager, std::process::id(), &exe, &arguments);
        let [program, words @ ..] = &call.argv[..] else {
            return LaunchError::Scope(std::io::ErrorKind::NotFound.into());
        };
        LaunchError::Scope(Command::new(program).args(words).envs(call.env).exec())
    }
}

/// What became of entering.
#[derive(Debug)]
pub(super) enum Inside {
    /// This is the service.
    Serve(Delegated),
    /// This was the process outside, and the service has ended.
    Ended(ExitCode),
}

/// On v2 a cgroup with processes of its own cannot hand controllers to its children, so that we go down one.
fn leave_top(delegated: &Delegated, to: &str) -> std::io::Result<()> {
    let Delegated::V2 { directory, inside } = delegated else { return Ok(()) };
    let own = std::fs::read_to_string("/proc/self/cgroup")?;
    let at = provision::systemd::own_path(&own).unwrap_or_default();
    let top = if *inside { directory.clone() } else { directory.join(format!("service-{}", std::process::id())) };
    let child = top.join(to);
    match std::fs::create_dir(&child) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    tracing::debug!("from cgroup {} into its child", at.display());
    std::fs::write(child.join("cgroup.procs"), "0")
}

/// What replaces or joins our own definitions.
fn overrides(settings_dir: &Path) -> Option<&Path> {
    Some(settings_dir).filter(|dir| dir.is_dir())
}

fn become_user(uid: Uid, gid: Gid) -> nix::Result<()> {
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    // Changing ids makes a process undumpable, which gives its /proc files to root; newuidmap then refuses it.
    prctl::set_dumpable(true)
}

fn gather<T, E: ToString>(loaded: Result<T, Vec<E>>, mistakes: &mut Vec<String>) -> Option<T> {
    loaded.map_err(|errors| mistakes.extend(errors.iter().map(ToString::to_string))).ok()
}
