//! A command as a value: what set-up runs as root, or prints for somebody who may. Nothing here decides what to run.

use std::io::{self, Write};
use std::process::{Command as Process, Stdio};

use thiserror::Error;

/// One program with its arguments, complete: no shell stands between it and the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// What it reads; nothing when absent.
    pub stdin: Option<String>,
    /// Whether what follows may still succeed when this fails.
    pub optional: bool,
}

/// How root's commands get to be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elevation {
    /// We are root.
    Root,
    /// Through sudo; it asks for a password on the terminal where `asks`.
    Sudo {
        /// Whether a password may be needed.
        asks: bool,
    },
    /// Not at all.
    None,
}

/// A command that did not do its work.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The program could not be started.
    #[error("cannot start `{command}`")]
    Start {
        /// As a shell would take it.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It ran and reported failure.
    #[error("`{command}` failed ({status}): {said}")]
    Failed {
        /// As a shell would take it.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it wrote on standard error.
        said: String,
    },
}

/// What set-up's commands are given a known search path with: root's programs, wherever the caller's `PATH` points.
const ROOT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Command {
    /// A command that must succeed and reads nothing.
    pub(super) fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), stdin: None, optional: false }
    }

    /// Commands that make `path` a file of `text` with the octal `mode`, whole or not at all: written beside it, then
    /// renamed over it. The name beside it does not end in a suffix that systemd or a shell would read.
    pub(super) fn write(path: &str, mode: &str, text: &str) -> Vec<Self> {
        let beside = format!("{path}.casemate-new");
        let mut write = Self::new(["tee", &beside]);
        write.stdin = Some(text.to_owned());
        vec![write, Self::new(["chmod", mode, &beside]), Self::new(["mv", "-fT", &beside, path])]
    }

    /// As one would type it into a shell.
    #[must_use]
    pub fn shell(&self) -> String {
        let line = self.argv.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        match &self.stdin {
            None => line,
            Some(text) => format!("{line} >/dev/null <<'CASEMATE'\n{text}CASEMATE"),
        }
    }

    /// The argv that `elevation` makes of it; `None` where nothing can be run as root.
    pub(super) fn elevated(&self, elevation: Elevation) -> Option<Vec<String>> {
        let prefix: &[&str] = match elevation {
            Elevation::Root => &[],
            Elevation::Sudo { asks: true } => &["sudo", "--"],
            Elevation::Sudo { asks: false } => &["sudo", "-n", "--"],
            Elevation::None => return None,
        };
        Some(prefix.iter().map(|&word| word.to_owned()).chain(self.argv.iter().cloned()).collect())
    }

    /// Runs `argv` (this command, perhaps with something before it) to its end. Its output is kept from the terminal;
    /// the end of its standard error is in the error.
    ///
    /// # Errors
    /// It cannot be started, or ends with another status than 0; neither where it is `optional`.
    pub(super) fn run(&self, argv: &[String]) -> Result<(), CommandError> {
        let outcome = self.try_run(argv);
        if self.optional { Ok(()) } else { outcome }
    }

    fn try_run(&self, argv: &[String]) -> Result<(), CommandError> {
        let start = |source| CommandError::Start { command: self.shell(), source };
        let (program, arguments) =
            argv.split_first().ok_or_else(|| start(io::Error::from(io::ErrorKind::InvalidInput)))?;
        let mut child = Process::new(program)
            .args(arguments)
            .env("PATH", ROOT_PATH)
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        if let (Some(text), Some(mut pipe)) = (&self.stdin, child.stdin.take()) {
            // A program that ends before it has read everything says why in its status. The texts fit in a pipe.
            let _ = pipe.write_all(text.as_bytes());
        }
        let ended = child.wait_with_output().map_err(start)?;
        if ended.status.success() {
            return Ok(());
        }
        let said = tail(&String::from_utf8_lossy(&ended.stderr));
        Err(CommandError::Failed { command: self.shell(), status: ended.status, said })
    }
}

/// The last lines of what a program said, as one.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join("; ")
}

/// Quoted for a POSIX shell where it needs to be.
pub(super) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How this process can get something done as root: by being root, by sudo without a password, by sudo with one where
/// `terminal` says that somebody is there to type it.
#[must_use]
pub fn elevation(terminal: bool) -> Elevation {
    if rustix::process::geteuid().is_root() {
        return Elevation::Root;
    }
    let quiet = Process::new("sudo")
        .args(["-n", "true"])
        .env("PATH", ROOT_PATH)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match quiet {
        Ok(status) if status.success() => Elevation::Sudo { asks: false },
        Ok(_) if terminal => Elevation::Sudo { asks: true },
        _ => Elevation::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_what_a_shell_would_run() {
        assert_eq!(Command::new(["chown", "ann:", "/a b/it's", ""]).shell(), r"chown ann: '/a b/it'\''s' ''");
        let lines: Vec<_> = Command::write("/etc/x.conf", "0644", "text\n").iter().map(Command::shell).collect();
        assert_eq!(
            lines,
            [
                "tee /etc/x.conf.casemate-new >/dev/null <<'CASEMATE'\ntext\nCASEMATE",
                "chmod 0644 /etc/x.conf.casemate-new",
                "mv -fT /etc/x.conf.casemate-new /etc/x.conf",
            ]
        );
    }

    #[test]
    fn root_needs_no_sudo_and_nobody_needs_luck() {
        let command = Command::new(["true"]);
        let words = |elevation| command.elevated(elevation).map(|argv| argv.join(" "));
        assert_eq!(words(Elevation::Root).as_deref(), Some("true"));
        assert_eq!(words(Elevation::Sudo { asks: false }).as_deref(), Some("sudo -n -- true"));
        assert_eq!(words(Elevation::Sudo { asks: true }).as_deref(), Some("sudo -- true"));
        assert_eq!(words(Elevation::None), None);
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let tree = tempfile::tempdir().unwrap();
        let path = tree.path().join("file");
        std::fs::write(&path, "old").unwrap();
        for command in Command::write(path.to_str().unwrap(), "0640", "new\n") {
            command.run(&command.argv).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(std::fs::read_dir(tree.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_tells_what_was_said() {
        let mut command = Command::new(["sh", "-c", "echo no room >&2; exit 3"]);
        let error = command.run(&command.argv).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("no room"), "{error}");
        command.optional = true;
        command.run(&command.argv).unwrap();
    }
}
