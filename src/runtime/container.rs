//! The life of one container: brought up by one call of the runtime, waiting for its word, ended, cleared away.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;
use oci_spec::runtime::Spec;

use super::command::{Runtime, RuntimeError};
use super::reaper::{Child, Ended, Reaper};

/// What a container is made from.
#[derive(Debug)]
pub struct Bundle<'a> {
    /// Its name, unique among the live ones.
    pub id: &'a str,
    /// Its specification.
    pub spec: &'a Spec,
    /// A directory for its bundle, which exists and is empty.
    pub dir: &'a Path,
    /// Standard input, output and error of the job, where the init writes its report, and where it takes its word from.
    pub descriptors: [OwnedFd; 5],
    /// Open `cgroup.procs` that the runtime joins first.
    pub join: Vec<OwnedFd>,
}

/// A container that exists. Its process 1 is the init, which starts nothing before it is told to.
#[derive(Debug)]
pub struct Container {
    runtime: Runtime,
    id: String,
    process: Child,
}

impl Container {
    /// Brings it up with one call, `run --detach`: `create` and `start` would be two, and starting the runtime is what
    /// costs most. That nothing of the job's runs before its limits were read back is the init's part: it waits.
    ///
    /// On failure everything that was made of it is killed and deleted.
    ///
    /// # Errors
    /// When the runtime fails or takes too long.
    pub async fn run(runtime: &Runtime, reaper: &Reaper, bundle: Bundle<'_>) -> Result<Self, RuntimeError> {
        let json = serde_json::to_vec(bundle.spec).map_err(|e| RuntimeError::Bundle(e.into()))?;
        std::fs::write(bundle.dir.join("config.json"), json).map_err(RuntimeError::Bundle)?;
        let log = bundle.dir.join("log");
        let pid_file = bundle.dir.join("pid");
        let words = [
            "--detach",
            "--bundle",
            &bundle.dir.to_string_lossy(),
            "--pid-file",
            &pid_file.to_string_lossy(),
            "--preserve-fds=2",
            // A keyring counts against the account, which may have 200 (keyrings(7)); the calls for keys are refused anyway.
            "--no-new-keyring",
            bundle.id,
        ];
        let arguments = runtime.arguments(&log, "run", &words);
        let began = reaper.now();
        let called = runtime.call(reaper, "run", arguments, &log, bundle.descriptors.into(), bundle.join).await;
        match called.and_then(|()| read_pid(&pid_file)) {
            Ok(pid) => {
                Ok(Self { runtime: runtime.clone(), id: bundle.id.to_owned(), process: reaper.adopt(pid, began) })
            }
            Err(error) => {
                // The first failure is the one to tell; what this one leaves is swept with the job's cgroup.
                let arguments = runtime.arguments(&log, "delete", &["--force", bundle.id]);
                let _ = runtime.call(reaper, "delete", arguments, &log, silent(), Vec::new()).await;
                Err(error)
            }
        }
    }

    /// Its process 1.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// The end of its process 1, and with it of every process in it (pid_namespaces(7)).
    pub async fn ended(&mut self) -> Ended {
        self.process.ended().await
    }

    /// Whether it has ended already.
    pub fn is_over(&mut self) -> bool {
        self.process.ended_already().is_some()
    }

    /// Kills process 1 and with it every other.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Kills what still lives of it and removes the runtime's notes. They are a directory; a call of `delete` would do
    /// no more once the process is gone: there are no hooks, and the cgroup is the caller's.
    ///
    /// # Errors
    /// When they cannot be removed, or its end does not come.
    pub async fn clear(mut self) -> Result<(), RuntimeError> {
        self.process.kill();
        let limit = self.runtime.limit;
        // A process that is none of our children would keep us waiting for ever.
        let ended = tokio::time::timeout(limit, self.process.ended()).await;
        self.forget()?;
        ended.map(drop).map_err(|_| RuntimeError::Hung { call: "the end of a container", limit })
    }

    /// The same for who cannot wait: the process has been told to end, and may still be there for a moment.
    ///
    /// # Errors
    /// When the notes cannot be removed.
    pub fn abandon(self) -> Result<(), RuntimeError> {
        self.process.kill();
        self.forget()
    }

    fn forget(&self) -> Result<(), RuntimeError> {
        let notes: PathBuf = self.runtime.state.join(&self.id);
        // Once more, should anything have come in between.
        match std::fs::remove_dir_all(&notes).or_else(|_| std::fs::remove_dir_all(&notes)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RuntimeError::Notes(error)),
            _ => Ok(()),
        }
    }
}

/// Three times nothing, for a call whose words go to its log.
fn silent() -> Vec<OwnedFd> {
    let open = || std::fs::File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    // Without descriptors the call fails by itself, which is reported.
    (0..3).map_while(|_| open().ok()).collect()
}

fn read_pid(path: &Path) -> Result<Pid, RuntimeError> {
    let text = std::fs::read_to_string(path).map_err(RuntimeError::NoPid)?;
    match text.trim().parse() {
        Ok(pid) if pid > 1 => Ok(Pid::from_raw(pid)),
        _ => Err(RuntimeError::NoPid(io::ErrorKind::InvalidData.into())),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::{Child, Command};
    use std::time::Duration;

    use super::*;
    use crate::runtime::Kind;

    /// Something that looks like a container: a process that sleeps, which nobody else waits for, and notes of it.
    pub(crate) fn pretended(state: &Path, id: &str) -> (Container, Child) {
        std::fs::create_dir(state.join(id)).unwrap();
        std::fs::write(state.join(id).join("status"), "{}").unwrap();
        let child = Command::new("sleep").arg("600").spawn().unwrap();
        let reaper = Reaper::deaf();
        let process = reaper.adopt(Pid::from_raw(i32::try_from(child.id()).unwrap()), reaper.now());
        let (kind, state, limit) = (Kind::Crun, state.to_owned(), Duration::from_secs(1));
        let (program, version) = ("crun".into(), String::new());
        let runtime = Runtime { kind, program, sealed: None, version, state, makes_cgroup: false, limit };
        (Container { runtime, id: id.to_owned(), process }, child)
    }
}
