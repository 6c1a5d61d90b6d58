//! One call of the runtime: its arguments as a value, its time limit, its words when it fails.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::reaper::{Ended, Reaper};
use super::sealed::Sealed;
use crate::sys::spawn::{Program, spawn};

/// The most of a runtime's own words that is worth a log line, in bytes.
const WORDS: u64 = 2048;

/// Which program it is: the two take the same calls with slightly different words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Written in C; the faster.
    Crun,
    /// Written in Go; the reference.
    Runc,
}

impl Kind {
    /// The program's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crun => "crun",
            Self::Runc => "runc",
        }
    }
}

/// What went wrong with a call of the runtime.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// See the source.
    #[error("{call}: cannot start the runtime")]
    Spawn {
        /// The call.
        call: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It said no.
    #[error("{call}: the runtime ended with {ended}: {words}")]
    Failed {
        /// The call.
        call: &'static str,
        /// How it ended.
        ended: Ended,
        /// What it wrote to its log.
        words: String,
    },
    /// It did not end in time and was killed.
    #[error("{call}: the runtime took longer than {limit:?}")]
    Hung {
        /// The call.
        call: &'static str,
        /// The time that it had.
        limit: Duration,
    },
    /// The process id that it should have left is not there.
    #[error("run: no usable process id was left")]
    NoPid(#[source] io::Error),
    /// See the source.
    #[error("the runtime's notes cannot be removed")]
    Notes(#[source] io::Error),
    /// See the source.
    #[error("cannot write the bundle")]
    Bundle(#[source] io::Error),
}

/// A runtime that was found to work.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// Which one.
    pub kind: Kind,
    /// Where the program is.
    pub program: PathBuf,
    /// The same, sealed, where that can be had: this is what is executed then.
    pub sealed: Option<Sealed>,
    /// What it says of its version.
    pub version: String,
    /// Where it keeps its notes.
    pub state: PathBuf,
    /// Whether it makes the cgroup itself (v2) or finds itself in it (v1).
    pub makes_cgroup: bool,
    /// The longest that one call may take.
    pub limit: Duration,
}

impl Runtime {
    /// The arguments of a call: what comes before the verb, the verb, and `rest`.
    #[must_use]
    pub fn arguments(&self, log: &Path, call: &str, rest: &[&str]) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec!["--root".into(), self.state.clone().into(), "--log".into(), log.into()];
        if self.kind == Kind::Crun {
            let manager = if self.makes_cgroup { "cgroupfs" } else { "disabled" };
            words.push(format!("--cgroup-manager={manager}").into());
        }
        words.push(call.into());
        words.extend(rest.iter().map(OsString::from));
        words
    }

    /// Makes the call and waits for its end. `descriptors` are what the runtime finds open, from 0 on.
    pub(super) async fn call(
        &self,
        reaper: &Reaper,
        call: &'static str,
        arguments: Vec<OsString>,
        log: &Path,
        descriptors: Vec<OwnedFd>,
        join: Vec<OwnedFd>,
    ) -> Result<(), RuntimeError> {
        let failed = |source| RuntimeError::Spawn { call, source };
        let (own, path, sealed) = (reaper.clone(), self.program.clone(), self.sealed.clone());
        // A thread of its own: joining cgroups may take milliseconds.
        let started = tokio::task::spawn_blocking(move || {
            let program = Program { path: &path, open: sealed.as_ref().map(Sealed::open) };
            own.spawn(|| spawn(program, &arguments, &descriptors, &join))
        });
        let mut child = started.await.map_err(|e| failed(io::Error::other(e)))?.map_err(failed)?;
        match tokio::time::timeout(self.limit, child.ended()).await {
            Ok(Ended::Exited(0)) => Ok(()),
            Ok(ended) => Err(RuntimeError::Failed { call, ended, words: words(log) }),
            Err(_) => {
                child.kill();
                child.ended().await;
                Err(RuntimeError::Hung { call, limit: self.limit })
            }
        }
    }
}

/// The end of the runtime's log, on one line.
fn words(log: &Path) -> String {
    let mut text = Vec::new();
    let read = std::fs::File::open(log).and_then(|file| file.take(WORDS).read_to_end(&mut text));
    match read {
        Ok(0) => "it said nothing".to_owned(),
        // crun writes the end of its line as two characters.
        Ok(_) => String::from_utf8_lossy(&text).replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" "),
        Err(error) if error.kind() == io::ErrorKind::NotFound => "it opened no log".to_owned(),
        Err(error) => format!("its log cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime(kind: Kind, makes_cgroup: bool) -> Runtime {
        Runtime {
            kind,
            program: kind.name().into(),
            sealed: None,
            version: String::new(),
            state: "/s".into(),
            makes_cgroup,
            limit: Duration::from_secs(1),
        }
    }

    #[test]
    fn each_runtime_is_spoken_to_in_its_own_words() {
        let rows = [
            (runtime(Kind::Crun, false), "--root /s --log /l --cgroup-manager=disabled run c1"),
            (runtime(Kind::Crun, true), "--root /s --log /l --cgroup-manager=cgroupfs run c1"),
            (runtime(Kind::Runc, false), "--root /s --log /l run c1"),
        ];
        for (runtime, expected) in rows {
            let words = runtime.arguments(Path::new("/l"), "run", &["c1"]);
            let words: Vec<_> = words.iter().map(|w| w.to_string_lossy()).collect();
            assert_eq!(words.join(" "), expected);
        }
    }
}
