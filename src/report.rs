//! From evidence to verdicts: a pure table.

use crate::model::{Evidence, Fault, Limits, Stop, Verdict, WaitStatus};

/// The verdict on a step.
///
/// The order of the questions is the order of certainty: somebody's request, then what the kernel counted, then what
/// the watchdog did, then how the process ended. A bare SIGKILL is a signal and nothing more.
///
/// # Errors
/// [`Fault::NoEvidence`] when the program ended and nobody can say how.
pub fn classify(evidence: &Evidence, limits: &Limits) -> Result<Verdict, Fault> {
    if evidence.stop == Some(Stop::Cancelled) {
        return Ok(Verdict::Cancelled);
    }
    if evidence.oom_kills.is_some_and(|n| n > 0) || evidence.stop == Some(Stop::Memory) {
        return Ok(Verdict::MemoryLimit);
    }
    if evidence.stop == Some(Stop::Output) || evidence.output.cut {
        return Ok(Verdict::OutputLimit);
    }
    if evidence.stop == Some(Stop::WallTime) {
        return Ok(Verdict::TimeLimit);
    }
    // Also without the watchdog's help: the last slice before the end may have used up what was left.
    if evidence.stop == Some(Stop::CpuTime) || evidence.cpu_time.is_some_and(|used| used >= limits.cpu_time) {
        return Ok(Verdict::CpuLimit);
    }
    match evidence.wait {
        Some(WaitStatus::Exited(0)) => Ok(Verdict::Ok),
        Some(WaitStatus::Exited(status)) => Ok(Verdict::ExitStatus(status)),
        Some(WaitStatus::Signaled(signal)) => Ok(Verdict::Signal(signal)),
        None => Err(Fault::NoEvidence),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bytes, Captured, CpuTime, Inodes, OpenFiles, Pids, WallTime};

    fn limits() -> Limits {
        Limits {
            memory: Bytes::mib(100),
            cpu_share: None,
            cpu_time: CpuTime::seconds(10),
            wall: WallTime::seconds(10),
            pids: Pids(64),
            open_files: OpenFiles(64),
            stack: Bytes::mib(8),
            file_size: Bytes::mib(64),
            output: Bytes::mib(8),
            tmp: Bytes::mib(64),
            tmp_inodes: Inodes(4096),
        }
    }

    fn exited(status: u8) -> Evidence {
        Evidence { wait: Some(WaitStatus::Exited(status)), oom_kills: Some(0), ..Evidence::default() }
    }

    #[test]
    fn every_row_of_the_table() {
        let cut = Captured { cut: true, ..Captured::default() };
        let rows: Vec<(&str, Evidence, Result<Verdict, Fault>)> = vec![
            ("exit 0", exited(0), Ok(Verdict::Ok)),
            ("exit 7", exited(7), Ok(Verdict::ExitStatus(7))),
            (
                "a bare SIGKILL is a signal",
                Evidence { wait: Some(WaitStatus::Signaled(9)), ..exited(0) },
                Ok(Verdict::Signal(9)),
            ),
            ("out of memory, parent survived", Evidence { oom_kills: Some(1), ..exited(0) }, Ok(Verdict::MemoryLimit)),
            (
                "out of memory wins over the time-out that followed",
                Evidence { oom_kills: Some(1), stop: Some(Stop::WallTime), wait: None, ..exited(0) },
                Ok(Verdict::MemoryLimit),
            ),
            ("counter unreadable is not out of memory", Evidence { oom_kills: None, ..exited(0) }, Ok(Verdict::Ok)),
            ("wall", Evidence { stop: Some(Stop::WallTime), wait: None, ..exited(0) }, Ok(Verdict::TimeLimit)),
            ("cpu, by the watchdog", Evidence { stop: Some(Stop::CpuTime), ..exited(0) }, Ok(Verdict::CpuLimit)),
            (
                "cpu, noticed at the end",
                Evidence { cpu_time: Some(CpuTime::seconds(10)), ..exited(0) },
                Ok(Verdict::CpuLimit),
            ),
            ("output", Evidence { stop: Some(Stop::Output), ..exited(0) }, Ok(Verdict::OutputLimit)),
            ("output cut, exit 0", Evidence { output: cut, ..exited(0) }, Ok(Verdict::OutputLimit)),
            (
                "cancelled",
                Evidence { stop: Some(Stop::Cancelled), oom_kills: Some(1), ..exited(0) },
                Ok(Verdict::Cancelled),
            ),
            ("no report", Evidence { wait: None, ..exited(0) }, Err(Fault::NoEvidence)),
        ];
        for (name, evidence, expected) in rows {
            assert_eq!(classify(&evidence, &limits()), expected, "{name}");
        }
    }
}
