//! Process 1 of every container, as bytes, and the reader of what it reports.
//!
//! The program itself is `rootfs-build/init/init.rs`; its header has the table of lines.

use thiserror::Error;

use crate::model::{Bytes, CpuTime, WaitStatus};

/// The static executable that is bound read-only into every container. Its file descriptor 3 is the report's pipe.
pub const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));

/// More than the longest report; a reader need not take more than this from the pipe.
pub const LONGEST_REPORT: usize = 256;

/// What the init said of its only child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The program ran and ended.
    Ended {
        /// How.
        wait: WaitStatus,
        /// Processor time in user mode, of the child and of those of its children that it waited for (getrusage(2)).
        user: CpuTime,
        /// The same in system mode.
        system: CpuTime,
        /// The most memory that one of these processes had resident at once.
        max_rss: Bytes,
    },
    /// The program never ran.
    NotStarted {
        /// What failed.
        step: Step,
        /// Why (errno(3)).
        errno: i32,
    },
}

/// What the init does before the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Its own preparations.
    Setup,
    /// Making the child.
    Fork,
    /// Executing the program.
    Exec,
}

/// Bytes that the init never writes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReportError {
    /// Longer than any report.
    #[error("report of {0} bytes is too long")]
    TooLong(usize),
    /// The last line was cut off.
    #[error("report does not end with a line feed")]
    Cut,
    /// A line that is none of the known ones.
    #[error("report has an unknown line {0:?}")]
    Unknown(String),
    /// More lines than one way of ending has.
    #[error("report goes on after its end with {0:?}")]
    Trailing(String),
}

impl Report {
    /// Reads everything that came out of the pipe; `None` when nothing did: the init was killed first.
    ///
    /// # Errors
    /// [`ReportError`] for anything that the init does not write, numbers with signs or leading zeros included.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, ReportError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.len() > LONGEST_REPORT {
            return Err(ReportError::TooLong(bytes.len()));
        }
        let text = bytes.strip_suffix(b"\n").ok_or(ReportError::Cut)?;
        let mut lines = text.split(|&byte| byte == b'\n');
        let Some(first) = lines.next() else { return Ok(None) };
        let report = line(first).ok_or_else(|| ReportError::Unknown(shown(first)))?;
        let not_executed = matches!(report, Self::NotStarted { step: Step::Exec, .. });
        for rest in lines.by_ref().take(1) {
            // The child that could not execute the program exits with 127, and that is reported like any end.
            let exited = matches!(line(rest), Some(Self::Ended { wait: WaitStatus::Exited(127), .. }));
            if !(not_executed && exited) {
                return Err(ReportError::Trailing(shown(rest)));
            }
        }
        match lines.next() {
            Some(rest) => Err(ReportError::Trailing(shown(rest))),
            None => Ok(Some(report)),
        }
    }
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

fn line(bytes: &[u8]) -> Option<Report> {
    let words: Vec<&str> = std::str::from_utf8(bytes).ok()?.split(' ').collect();
    let not_started = |step, errno| {
        let errno = i32::try_from(number(errno)?).ok().filter(|n| (1..=4095).contains(n))?;
        Some(Report::NotStarted { step, errno })
    };
    match *words.as_slice() {
        ["setup", errno] => not_started(Step::Setup, errno),
        ["fork", errno] => not_started(Step::Fork, errno),
        ["exec", errno] => not_started(Step::Exec, errno),
        ["exited", status, user, system, rss] => {
            ended(WaitStatus::Exited(u8::try_from(number(status)?).ok()?), user, system, rss)
        }
        ["signaled", signal, user, system, rss] => {
            let signal = u8::try_from(number(signal)?).ok().filter(|n| (1..=64).contains(n))?;
            ended(WaitStatus::Signaled(signal), user, system, rss)
        }
        _ => None,
    }
}

fn ended(wait: WaitStatus, user: &str, system: &str, rss: &str) -> Option<Report> {
    let max_rss = Bytes(number(rss)?.checked_mul(1024)?);
    Some(Report::Ended { wait, user: CpuTime(number(user)?), system: CpuTime(number(system)?), max_rss })
}

/// Decimal digits only, no needless zero in front.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(wait: WaitStatus) -> Report {
        Report::Ended { wait, user: CpuTime(5), system: CpuTime(6), max_rss: Bytes(7 * 1024) }
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let not_started = |step| Report::NotStarted { step, errno: 2 };
        for (text, report) in [
            ("", None),
            ("exited 0 5 6 7\n", Some(ended(WaitStatus::Exited(0)))),
            ("exited 255 5 6 7\n", Some(ended(WaitStatus::Exited(255)))),
            ("signaled 9 5 6 7\n", Some(ended(WaitStatus::Signaled(9)))),
            ("signaled 64 5 6 7\n", Some(ended(WaitStatus::Signaled(64)))),
            ("setup 2\n", Some(not_started(Step::Setup))),
            ("fork 2\n", Some(not_started(Step::Fork))),
            ("exec 2\n", Some(not_started(Step::Exec))),
            ("exec 2\nexited 127 5 6 7\n", Some(not_started(Step::Exec))),
        ] {
            assert_eq!(Report::parse(text.as_bytes()), Ok(report), "{text:?}");
        }
    }

    #[test]
    fn garbage_is_an_error() {
        let long = format!("exited 0 {} 6 7\n", "1".repeat(LONGEST_REPORT));
        for text in [
            "\n",
            "exited 0 5 6 7",
            "exited 256 5 6 7\n",
            "exited -1 5 6 7\n",
            "exited +1 5 6 7\n",
            "exited 00 5 6 7\n",
            "exited 0 5 6\n",
            "exited 0 5 6 7 8\n",
            "exited  0 5 6 7\n",
            "exited 0 5 6 7\r\n",
            "signaled 0 5 6 7\n",
            "signaled 65 5 6 7\n",
            "exec 0\n",
            "exec 4096\n",
            "exec\n",
            "Exited 0 5 6 7\n",
            "exited 0 5 6 7\n\n",
            "exited 0 5 6 7\nexited 0 5 6 7\n",
            "exec 2\nexited 0 5 6 7\n",
            "exec 2\nexec 2\n",
            " exec 2\n",
            "exec 2\nexited 127 5 6 7\nexec 2\n",
            "fork 2\nexited 127 5 6 7\n",
            "exited 0 5 6 18446744073709551615\n",
            "exited 0 99999999999999999999 6 7\n",
            &long,
        ] {
            assert!(Report::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(Report::parse(b"exited \xff 5 6 7\n").is_err());
    }

    #[test]
    fn the_init_is_a_small_static_executable_without_a_loader() {
        assert_eq!(&INIT[..4], b"\x7fELF");
        assert_eq!(INIT[16], 2, "ET_EXEC: nothing relocates it");
        assert!(INIT.len() < 16 << 10, "{} bytes", INIT.len());
    }
}
