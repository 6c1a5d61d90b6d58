//! What a server is started with. The environment of the test never leaks into it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{account, scale};

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

    /// The program that the environment names in place of the machine's own.
    pub fn named(self) -> Option<PathBuf> {
        std::env::var_os(format!("CMTEST_{}", self.name().to_uppercase())).map(PathBuf::from)
    }
}

/// Environment variables of the child on top of the few that every process needs.
#[derive(Clone, Debug)]
pub struct Settings {
    vars: BTreeMap<String, String>,
    /// Words before the binary.
    front: Vec<&'static str>,
    /// Another binary than the one under test.
    binary: Option<PathBuf>,
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
        let settings = Self::bare()
            .set("PORT", 0)
            .set("CASEMATE_RUNTIME", runtime.name())
            .set("CASEMATE_IMAGES", account::images().display());
        scale::settings().into_iter().fold(settings.installed(runtime), |all, (name, value)| all.set(&name, value))
    }

    /// The runtime that `CMTEST_CRUN` or `CMTEST_RUNC` names, where it is to be another than the machine's.
    fn installed(self, runtime: Runtime) -> Self {
        match runtime.named() {
            Some(path) => self.set("CASEMATE_RUNTIME_PATH", path.display()),
            None => self,
        }
    }

    /// Nothing at all.
    pub const fn bare() -> Self {
        Self { vars: BTreeMap::new(), front: Vec::new(), binary: None }
    }

    /// One more variable, or another value for one.
    #[allow(clippy::needless_pass_by_value, reason = "a reference sign at every literal says nothing")]
    pub fn set(mut self, name: &str, value: impl Display) -> Self {
        self.vars.insert(name.to_owned(), value.to_string());
        self
    }

    /// Behind these words: a command that becomes the binary.
    pub fn behind(mut self, front: &[&'static str]) -> Self {
        self.front = front.to_vec();
        self
    }

    /// This binary in place of the one under test.
    pub fn binary(mut self, binary: PathBuf) -> Self {
        self.binary = Some(binary);
        self
    }

    /// A command that becomes the binary, in a machine without cgroups. Needs root.
    pub fn without_cgroups(mut self) -> Self {
        let script = "umount --recursive /sys/fs/cgroup && exec \"$@\"";
        self.front = vec!["unshare", "--mount", "sh", "-c", script, "sh"];
        self
    }

    /// The same limit of the same step for each of these languages; limits of time are stretched as [`scale`] says.
    pub fn limit(mut self, languages: &[&str], step: &str, limit: &str, value: u64) -> Self {
        for language in languages {
            let name = format!("CASEMATE_LIMITS__{}__{step}__{limit}", language.to_uppercase());
            self.vars.insert(name, scale::limit(limit, value).to_string());
        }
        self
    }

    /// The binary with these settings and this home; the caller adds the subcommand.
    pub fn command(&self, home: &Path) -> Command {
        let mut command = match self.front[..] {
            [] => Command::new(self.program()),
            [program, ref words @ ..] => {
                let mut command = Command::new(program);
                command.args(words).arg(self.program());
                command
            }
        };
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

    fn program(&self) -> PathBuf {
        self.binary.clone().unwrap_or_else(binary)
    }
}

/// The binary under test: cargo's own, or the one named by `CMTEST_BINARY`.
pub fn binary() -> PathBuf {
    std::env::var_os("CMTEST_BINARY").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_casemate")), PathBuf::from)
}
