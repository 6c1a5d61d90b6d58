//! The fate of a program. Not ours: what we broke is a [`Fault`](super::Fault), what we did not accept a
//! [`Refusal`](super::Refusal).

use serde::{Deserialize, Serialize};

/// How one step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Exit status 0, within every limit.
    Ok,
    /// Another exit status.
    ExitStatus(u8),
    /// The compiler's exit status, other than 0: it did not take the program.
    CompileError(u8),
    /// A signal that the service did not send, and that no row below explains.
    Signal(u8),
    /// The kernel killed a process of the group for memory.
    MemoryLimit,
    /// The group's processor time was used up, or SIGXCPU ended the program.
    CpuLimit,
    /// The wall-clock limit passed.
    TimeLimit,
    /// More output than the limit.
    OutputLimit,
    /// The program failed, and forks had been refused by the limit of processes and threads.
    ProcessLimit,
    /// SIGXFSZ ended the program: a file was to grow beyond the limit.
    FileLimit,
    /// SIGSYS ended the program: it made a call that the filter answers with death, in an ABI that is closed.
    Seccomp,
    /// Exit status 0, and another output than the expected one.
    WrongAnswer,
    /// Exit status 0, and the client's checker did not say whether the output was right.
    CheckerFailed,
    /// Cancelled on request.
    Cancelled,
}

impl Verdict {
    /// The word for it, as clients below `/v1/` are told and as it is counted.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "accepted",
            Self::ExitStatus(_) => "exit_status",
            Self::CompileError(_) => "compile_error",
            Self::Signal(_) => "signal",
            Self::MemoryLimit => "memory_limit",
            Self::CpuLimit => "cpu_limit",
            Self::TimeLimit => "time_limit",
            Self::OutputLimit => "output_limit",
            Self::ProcessLimit => "process_limit",
            Self::FileLimit => "file_limit",
            Self::Seccomp => "syscall_denied",
            Self::WrongAnswer => "wrong_answer",
            Self::CheckerFailed => INTERNAL_ERROR,
            Self::Cancelled => "cancelled",
        }
    }
}

/// The word for what is not the program's fate.
pub(super) const INTERNAL_ERROR: &str = "internal_error";
