//! What a server is started with. The environment of the test never leaks into it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account;

/// The OCI runtime that a suite runs under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    Crun,
    Runc,
}

impl Runtime {
    /// The value of `CASEMATE_RUNTIME`, and the name of the program.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crun => "crun",
            Self::Runc => "runc",
        }
    }
}

/// Environment variables of the child on top of the few that every process needs.
#[derive(Clone, Debug)]
pub struct Settings {
    vars: BTreeMap<String, String>,
}

/// Passed through from the test's own environment: none of them is a setting of the service.
const INHERITED: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "RUST_BACKTRACE",
    "TMPDIR",
];

impl Settings {
    /// Defaults, a free port, this runtime, and the images that `setup` made.
    pub fn new(runtime: Runtime) -> Self {
        Self::bare()
            .set("PORT", 0)
            .set("CASEMATE_RUNTIME", runtime.name())
            .set("CASEMATE_IMAGES", account::images().display())
    }

    /// Nothing at all.
    pub const fn bare() -> Self {
        Self { vars: BTreeMap::new() }
    }

    /// One more variable, or another value for one.
    #[allow(clippy::needless_pass_by_value, reason = "a reference sign at every literal says nothing")]
    pub fn set(mut self, name: &str, value: impl Display) -> Self {
        self.vars.insert(name.to_owned(), value.to_string());
        self
    }

    /// The same limit of the same step for each of these languages.
    pub fn limit(mut self, languages: &[&str], step: &str, limit: &str, value: u64) -> Self {
        for language in languages {
            let name = format!("CASEMATE_LIMITS__{}__{step}__{limit}", language.to_uppercase());
            self.vars.insert(name, value.to_string());
        }
        self
    }

    /// The binary with these settings and this home; the caller adds the subcommand.
    pub fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(binary());
        // Nor do the machine's own settings: this directory does not exist.
        command.env_clear().env("CASEMATE_HOME", home).env("CASEMATE_SETTINGS", home.join("no-settings"));
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs(&self.vars);
        command
    }
}

/// The binary under test: cargo's own, or the one named by `CMTEST_BINARY`.
pub fn binary() -> PathBuf {
    std::env::var_os("CMTEST_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_casemate")), PathBuf::from)
}
