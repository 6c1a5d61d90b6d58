//! What can go wrong on our side of a step, from making its container to reading its end.

use std::io;
use std::time::Duration;

use nix::errno::Errno;
use thiserror::Error;

use super::workdir::WorkdirError;
use crate::bundle::init;
use crate::cgroup::CgroupError;
use crate::host::rlimits::RlimitError;
use crate::model::Fault;
use crate::runtime::RuntimeError;

/// How long a killed container may take to be gone, and its pipes to close, before that is a fault of ours.
pub(super) const DYING: Duration = Duration::from_secs(10);

/// The most of a runtime's words that is worth a log line, in bytes.
pub(super) const WORDS: usize = 2048;

/// What went wrong on our side of a step.
#[derive(Debug, Error)]
pub enum StepError {
    /// See the source.
    #[error("cannot make a pipe")]
    Pipe(#[source] io::Error),
    /// See the source.
    #[error("the bundle lacks a value")]
    Bundle(#[from] oci_spec::OciSpecError),
    /// See the source.
    #[error("cannot prepare the job's cgroup")]
    Prepare(#[source] CgroupError),
    /// See the source.
    #[error("a limit is not in force")]
    Limits(#[source] CgroupError),
    /// What the machine does with a crash has changed since the start.
    #[error("jobs cannot have their limits any more")]
    Rlimit(#[from] RlimitError),
    /// See the source.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// See the source.
    #[error(transparent)]
    Workdir(#[from] WorkdirError),
    /// The image has no such program, or may not run it.
    #[error("the init cannot start {program}: {errno}")]
    Exec {
        /// The program.
        program: String,
        /// Why.
        errno: Errno,
    },
    /// The machine may forbid it to everybody (`kernel.yama.ptrace_scope` = 3).
    #[error("the system calls of the step cannot be watched")]
    Trace(#[source] io::Error),
    /// See the source.
    #[error("cannot open the job's /tmp")]
    Tmp(#[source] io::Error),
    /// See the source.
    #[error("the output could not be read")]
    Output(#[source] io::Error),
    /// The container did not end, or its pipes did not close, after it was killed.
    #[error("the container was still there {DYING:?} after it was killed")]
    Undead,
    /// The init wrote something else than its report.
    #[error("the init's report is unusable")]
    Report(#[source] init::ReportError),
    /// The container ended, and nothing that was seen says how.
    #[error("{0}")]
    Unexplained(Fault),
    /// All blocks of ids are in use, or the profile or image is gone.
    #[error("no {0} for the step")]
    Without(&'static str),
}

impl StepError {
    /// What a client is told of it.
    pub(super) const fn fault(&self) -> Fault {
        match self {
            Self::Limits(_) | Self::Rlimit(_) => Fault::Limits,
            Self::Runtime(_) => Fault::Runtime,
            Self::Report(_) | Self::Undead | Self::Output(_) | Self::Unexplained(_) => Fault::NoEvidence,
            _ => Fault::Prepare,
        }
    }
}
