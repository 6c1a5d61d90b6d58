//! The hard limits that the service was started with. What a job gets cannot be above them: without CAP_SYS_RESOURCE
//! in the initial user namespace a process only lowers its own (setrlimit(2)).

use std::fs;
use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use thiserror::Error;

use crate::bundle::cpu_seconds;
use crate::model::Limits;

/// What the kernel does with the core of a program that crashes (core(5)).
const CORE_PATTERN: &str = "/proc/sys/kernel/core_pattern";

/// The limit of core files that keeps even a program behind a pipe from being started, in bytes (fs/coredump.c).
pub const NO_CORE: u64 = 1;

/// Why jobs cannot have the limits that they are to have.
#[derive(Debug, Error)]
pub enum RlimitError {
    /// A crash in a job would start a program outside.
    #[error(
        "a crash would start a program outside the sandbox: {CORE_PATTERN} begins with `|` or `@`, and the hard limit of core \
         files is 0, where 1 would keep jobs from it: start the service with a hard limit of 1 byte or more \
         (LimitCORE=infinity in a unit; sudo sets 0 unless sudoers has `Defaults rlimit_core=user`), or give \
         kernel.core_pattern the name of a file"
    )]
    Core,
    /// A hard limit is too low.
    #[error(
        "{what} is limited to {hard} for the service itself ({name}), and jobs in {language} are to have {wanted}: start \
         the service with a higher hard limit, or lower that of the jobs in the settings"
    )]
    Low {
        /// What is limited, with its unit.
        what: &'static str,
        /// The limit's name.
        name: &'static str,
        /// The service's own.
        hard: u64,
        /// The language.
        language: String,
        /// What a job is to have.
        wanted: u64,
    },
    /// They cannot be read.
    #[error("the hard limits of the service cannot be read")]
    Read(#[source] io::Error),
}

/// Undoes a hard limit of core files of 0 such as sudo(8) sets. Only root may; for anybody else nothing happens, and
/// [`core_limit`] looks at what that means.
pub fn allow_no_core() {
    if let Ok((soft, 0)) = getrlimit(Resource::RLIMIT_CORE)
        && let Err(error) = setrlimit(Resource::RLIMIT_CORE, soft, NO_CORE)
    {
        tracing::debug!("the hard limit of core files stays 0: {error}");
    }
}

/// The `RLIMIT_CORE` of jobs, in bytes: 1, or 0 where the service may have no more and a crash starts nothing.
///
/// # Errors
/// When a crash would start a program outside the sandbox, and when it cannot be told.
pub fn core_limit() -> Result<u64, RlimitError> {
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE).map_err(|errno| RlimitError::Read(errno.into()))?;
    let pattern = fs::read(CORE_PATTERN).map_err(RlimitError::Read)?;
    choose(hard, &pattern)
}

fn choose(hard: u64, pattern: &[u8]) -> Result<u64, RlimitError> {
    match (hard, pattern.first()) {
        // A socket, since kernel 6.16, is a program that listens.
        (0, Some(b'|' | b'@')) => Err(RlimitError::Core),
        (hard, _) => Ok(hard.min(NO_CORE)),
    }
}

/// Checks that a step of this language can have its limits.
///
/// # Errors
/// With the first that is above the service's own.
pub fn check(language: &str, limits: &Limits) -> Result<(), RlimitError> {
    let rows = [
        (Resource::RLIMIT_STACK, "RLIMIT_STACK", "the stack in bytes", limits.stack.0),
        (Resource::RLIMIT_NOFILE, "RLIMIT_NOFILE", "the number of open files", u64::from(limits.open_files.0)),
        (Resource::RLIMIT_FSIZE, "RLIMIT_FSIZE", "the size of a file in bytes", limits.file_size.0),
        (Resource::RLIMIT_CPU, "RLIMIT_CPU", "processor time in seconds", cpu_seconds(limits)),
    ];
    for (resource, name, what, wanted) in rows {
        let (_, hard) = getrlimit(resource).map_err(|errno| RlimitError::Read(errno.into()))?;
        if hard < wanted {
            return Err(RlimitError::Low { what, name, hard, language: language.to_owned(), wanted });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Languages;
    use crate::model::Bytes;

    #[test]
    fn a_crash_starts_nothing_outside() {
        for (hard, pattern, expected) in [
            (u64::MAX, "core\n", Some(1)),
            (u64::MAX, "|/usr/lib/systemd/systemd-coredump %P\n", Some(1)),
            (1, "|/bin/true\n", Some(1)),
            (0, "core\n", Some(0)),
            (0, "\n", Some(0)),
            (0, "|/bin/true\n", None),
            (0, "@/run/coredump.socket\n", None),
        ] {
            assert_eq!(choose(hard, pattern.as_bytes()).ok(), expected, "{hard} {pattern:?}");
        }
    }

    #[test]
    fn what_is_above_the_service_s_own_is_named() {
        let languages = Languages::load(None).unwrap();
        let limits = languages.get("python").unwrap().run_limits();
        check("python", limits).unwrap();
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let much = Limits { open_files: crate::model::OpenFiles(u32::MAX), stack: Bytes(1), ..limits.clone() };
        let message = check("python", &much).unwrap_err().to_string();
        for part in ["RLIMIT_NOFILE", "python", &hard.to_string(), &u32::MAX.to_string()] {
            assert!(message.contains(part), "{message}");
        }
    }
}
