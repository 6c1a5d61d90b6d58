//! For whom the machine is being set up: the service account when root asks, else the user who asks.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// What the settings want of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name of the account that serves when root starts the service.
    pub account: String,
    /// Where everything is kept; absolute. `None` for the default: [`ACCOUNT_HOME`] or `~/.local/share/casemate`.
    pub home: Option<PathBuf>,
    /// Whether runc is asked for and so must be there.
    pub runc: bool,
    /// Whether the service is to do without cgroups where there are none.
    pub without_cgroup: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { account: "casemate".to_owned(), home: None, runc: false, without_cgroup: false }
    }
}

/// Home of the service account.
pub const ACCOUNT_HOME: &str = "/var/lib/casemate";

/// Whoever will serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// Login name.
    pub name: String,
    /// Whether it is the service account, which root makes and drops to; else an ordinary user who serves as himself.
    pub service: bool,
    /// Uid of an ordinary user. The account's is looked up, for it may not exist yet.
    pub uid: Option<u32>,
    /// Where everything is kept.
    pub home: PathBuf,
}

/// Nobody can serve.
#[derive(Debug, Error)]
pub enum WhoError {
    /// The setting names no possible account.
    #[error("setting `account` is `{name}`: {why}")]
    Account {
        /// The setting's value.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The caller's uid belongs to nobody.
    #[error("uid {uid} has no account on this machine; run as a user who has one")]
    Unknown {
        /// The uid.
        uid: u32,
    },
    /// The accounts could not be searched.
    #[error("cannot look up uid {uid}")]
    Lookup {
        /// The uid.
        uid: u32,
        /// Why.
        source: nix::errno::Errno,
    },
}

impl Who {
    /// Whoever will serve when the caller of this process starts the service.
    ///
    /// # Errors
    /// A useless `account` setting, when root; a caller without an account, otherwise.
    pub fn discover(wanted: &Wanted) -> Result<Self, WhoError> {
        let uid = nix::unistd::geteuid();
        if uid.is_root() {
            return Self::account(wanted);
        }
        let user = nix::unistd::User::from_uid(uid)
            .map_err(|source| WhoError::Lookup { uid: uid.as_raw(), source })?
            .ok_or(WhoError::Unknown { uid: uid.as_raw() })?;
        let home = wanted.home.clone().unwrap_or_else(|| user.dir.join(".local/share/casemate"));
        Ok(Self { name: user.name, service: false, uid: Some(uid.as_raw()), home })
    }

    /// The service account of the settings.
    ///
    /// # Errors
    /// A name that useradd(8) would refuse, or root's.
    pub fn account(wanted: &Wanted) -> Result<Self, WhoError> {
        let name = &wanted.account;
        let fail = |why| Err(WhoError::Account { name: name.clone(), why });
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-');
        if !begins || !plain || name.len() > 32 {
            return fail("an account's name is a lower-case letter followed by up to 31 of a-z, 0-9, _ and -");
        }
        if name == "root" {
            return fail("the service never runs as root; name another account");
        }
        let home = wanted.home.clone().unwrap_or_else(|| Path::new(ACCOUNT_HOME).to_owned());
        Ok(Self { name: name.clone(), service: true, uid: None, home })
    }

    /// Name of the delegated cgroup directories.
    #[must_use]
    pub fn cgroup_name(&self) -> String {
        if self.service { "casemate".to_owned() } else { format!("casemate-{}", self.name) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plausible_account_is_taken() {
        for (name, good) in [
            ("casemate", true),
            ("_c-1", true),
            ("", false),
            ("root", false),
            ("Ann", false),
            ("a/b", false),
            ("-x", false),
        ] {
            let wanted = Wanted { account: name.to_owned(), ..Wanted::default() };
            assert_eq!(Who::account(&wanted).is_ok(), good, "{name}");
        }
    }

    #[test]
    fn an_account_and_a_user_have_different_cgroups() {
        let account = Who::account(&Wanted::default()).unwrap();
        assert_eq!((account.cgroup_name().as_str(), account.home.to_str()), ("casemate", Some(ACCOUNT_HOME)));
        let user = Who { name: "ann".into(), service: false, ..account };
        assert_eq!(user.cgroup_name(), "casemate-ann");
    }
}
