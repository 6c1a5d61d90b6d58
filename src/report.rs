//! From evidence to verdicts, and to what became of each limit: pure tables.

mod bounds;
mod refused;

use nix::sys::signal::Signal;

use crate::model::{Elapsed, Enforcement, Evidence, Fault, Limits, StepKind, StepReport, Stop, Verdict, WaitStatus};

pub use bounds::bounds;
pub use refused::{RefusedCall, fatal, refused};

/// The report on a step that ended.
///
/// # Errors
/// As [`classify`].
pub fn conclude(
    kind: StepKind,
    evidence: Evidence,
    limits: &Limits,
    enforcement: Enforcement,
) -> Result<StepReport, Fault> {
    let verdict = classify(kind, &evidence, limits, enforcement)?;
    Ok(StepReport { verdict, evidence, limits: limits.clone(), enforcement })
}

/// The verdict on a step.
///
/// The order of the questions is the order of certainty: somebody's request, then what the kernel counted, then what
/// the watchdog did, then how the process ended.
///
/// - Three signals are the kernel's way to say which limit was passed. Sent by the program to itself they read the same,
///   as they would anywhere; the kernel tells a parent no more than the number (wait(2)), in particular not which system
///   call the filter met. Every other signal is a signal and nothing more, a bare SIGKILL too.
/// - Without a cgroup nothing stops a program at its limit of memory; one that was over it at any moment has passed it.
/// - A refused fork is an event in the life of a program, which may well go on and succeed. Only a program that failed
///   afterwards failed, as far as anybody can tell, by that limit.
///
/// # Errors
/// [`Fault::NoEvidence`] when the program ended and nobody can say how.
pub fn classify(
    kind: StepKind,
    evidence: &Evidence,
    limits: &Limits,
    enforcement: Enforcement,
) -> Result<Verdict, Fault> {
    if evidence.stop == Some(Stop::Cancelled) {
        return Ok(Verdict::Cancelled);
    }
    let passed = enforcement == Enforcement::Sampling && evidence.memory_peak.is_some_and(|held| held > limits.memory);
    if evidence.oom_kills.is_some_and(|n| n > 0) || evidence.stop == Some(Stop::Memory) || passed {
        return Ok(Verdict::MemoryLimit);
    }
    if evidence.stop == Some(Stop::Output) || evidence.output.cut {
        return Ok(Verdict::OutputLimit);
    }
    if wall_time_is_up(evidence, limits) {
        return Ok(Verdict::TimeLimit);
    }
    if cpu_time_is_up(evidence, limits) {
        return Ok(Verdict::CpuLimit);
    }
    let wait = evidence.wait.ok_or(Fault::NoEvidence)?;
    let refused = evidence.pids_refused.is_some_and(|n| n > 0);
    Ok(match wait {
        WaitStatus::Exited(0) => Verdict::Ok,
        WaitStatus::Signaled(signal) if is(signal, Signal::SIGXCPU) => Verdict::CpuLimit,
        WaitStatus::Signaled(signal) if is(signal, Signal::SIGXFSZ) => Verdict::FileLimit,
        WaitStatus::Signaled(signal) if is(signal, Signal::SIGSYS) => Verdict::Seccomp,
        _ if refused => Verdict::ProcessLimit,
        WaitStatus::Exited(status) if kind == StepKind::Compile => Verdict::CompileError(status),
        WaitStatus::Exited(status) => Verdict::ExitStatus(status),
        WaitStatus::Signaled(signal) => Verdict::Signal(signal),
    })
}

/// The verdict on a run whose output had to be another's, given whether it was.
#[must_use]
pub fn held_against(verdict: Verdict, same: bool) -> Verdict {
    if verdict == Verdict::Ok && !same { Verdict::WrongAnswer } else { verdict }
}

/// The verdict on a run whose output the client's checker judged, given how that ended: 0 is right; 1, 2, 4 and 8 are wrong, as
/// testlib has it: another answer, another form, more than was read, less than was looked for.
#[must_use]
pub const fn checked(checker: Verdict) -> Verdict {
    match checker {
        Verdict::Ok => Verdict::Ok,
        Verdict::ExitStatus(1 | 2 | 4 | 8) => Verdict::WrongAnswer,
        Verdict::Cancelled => Verdict::Cancelled,
        _ => Verdict::CheckerFailed,
    }
}

/// Whether the step's processor time was used up, also without the watchdog's help: the last slice before the end may
/// have taken what was left. SIGXCPU, which is about a single process, is another matter.
#[must_use]
pub fn cpu_time_is_up(evidence: &Evidence, limits: &Limits) -> bool {
    evidence.stop == Some(Stop::CpuTime) || evidence.cpu_time.is_some_and(|used| used >= limits.cpu_time)
}

/// Whether the step took longer than it might, also where it ended by itself before the watchdog could say so.
#[must_use]
pub fn wall_time_is_up(evidence: &Evidence, limits: &Limits) -> bool {
    let most = Elapsed::from_duration(limits.wall.duration());
    evidence.stop == Some(Stop::WallTime) || evidence.elapsed.is_some_and(|took| took > most)
}

fn is(number: u8, signal: Signal) -> bool {
    i32::from(number) == signal as i32
}

#[cfg(test)]
mod tests;
