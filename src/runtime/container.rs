//! The life of one container: created, started, ended, deleted.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::unistd::Pid;
use oci_spec::runtime::Spec;

use super::command::{Runtime, RuntimeError};
use super::reaper::{Child, Ended, Reaper};
use crate::sys::spawn::Descriptors;

/// What a container is created from.
#[derive(Debug)]
pub struct Create<'a> {
    /// Its name, unique among the live ones.
    pub id: &'a str,
    /// Its specification.
    pub spec: &'a Spec,
    /// A directory for its bundle, which exists and is empty.
    pub dir: &'a Path,
    /// Standard input, output and error of the job.
    pub stdio: [OwnedFd; 3],
    /// Where the init writes its report.
    pub report: OwnedFd,
    /// Open `cgroup.procs` that the runtime joins first.
    pub join: Vec<OwnedFd>,
}

/// A container that exists. Its process waits until [`Container::start`].
#[derive(Debug)]
pub struct Container {
    runtime: Runtime,
    reaper: Reaper,
    id: String,
    log: PathBuf,
    process: Child,
}

impl Container {
    /// Creates it. On failure everything that was made of it is killed and deleted.
    ///
    /// # Errors
    /// When the runtime fails or takes too long.
    pub async fn create(runtime: &Runtime, reaper: &Reaper, create: Create<'_>) -> Result<Self, RuntimeError> {
        let json = serde_json::to_vec(create.spec).map_err(|e| RuntimeError::Bundle(e.into()))?;
        std::fs::write(create.dir.join("config.json"), json).map_err(RuntimeError::Bundle)?;
        let log = create.dir.join("log");
        let pid_file = create.dir.join("pid");
        let words = [
            "--bundle",
            &create.dir.to_string_lossy(),
            "--pid-file",
            &pid_file.to_string_lossy(),
            "--preserve-fds=1",
            create.id,
        ];
        let arguments = runtime.arguments(&log, "create", &words);
        let [stdin, stdout, stderr] = create.stdio.map(Stdio::from);
        let descriptors = Descriptors { stdin, stdout, stderr, third: Some(create.report) };
        let called = runtime.call(reaper, "create", &arguments, &log, descriptors, &create.join).await;
        match called.and_then(|()| read_pid(&pid_file)) {
            Ok(pid) => Ok(Self {
                runtime: runtime.clone(),
                reaper: reaper.clone(),
                id: create.id.to_owned(),
                log,
                process: reaper.adopt(pid),
            }),
            Err(error) => {
                // The first failure is the one to tell; what this one leaves is swept with the job's cgroup.
                let _ = delete(runtime, reaper, create.id, &log).await;
                Err(error)
            }
        }
    }

    /// Its process 1.
    #[must_use]
    pub const fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Lets the program begin.
    ///
    /// # Errors
    /// When the runtime fails or takes too long.
    pub async fn start(&self) -> Result<(), RuntimeError> {
        let arguments = self.runtime.arguments(&self.log, "start", &[&self.id]);
        self.runtime.call(&self.reaper, "start", &arguments, &self.log, silent(), &[]).await
    }

    /// The end of its process 1, and with it of every process in it (pid_namespaces(7)).
    pub async fn ended(&mut self) -> Ended {
        self.process.ended().await
    }

    /// Kills process 1 and with it every other.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Kills what still lives of it and removes the runtime's notes.
    ///
    /// # Errors
    /// When the runtime fails or takes too long.
    pub async fn delete(mut self) -> Result<(), RuntimeError> {
        self.process.kill();
        self.process.ended().await;
        delete(&self.runtime, &self.reaper, &self.id, &self.log).await
    }
}

async fn delete(runtime: &Runtime, reaper: &Reaper, id: &str, log: &Path) -> Result<(), RuntimeError> {
    let arguments = runtime.arguments(log, "delete", &["--force", id]);
    runtime.call(reaper, "delete", &arguments, log, silent(), &[]).await
}

fn silent() -> Descriptors {
    Descriptors { stdin: Stdio::null(), stdout: Stdio::null(), stderr: Stdio::null(), third: None }
}

fn read_pid(path: &Path) -> Result<Pid, RuntimeError> {
    let text = std::fs::read_to_string(path).map_err(RuntimeError::NoPid)?;
    match text.trim().parse() {
        Ok(pid) if pid > 1 => Ok(Pid::from_raw(pid)),
        _ => Err(RuntimeError::NoPid(io::ErrorKind::InvalidData.into())),
    }
}
