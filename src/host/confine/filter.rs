//! The service's own filter of system calls: a list of what is refused, since what a runtime may ask for differs from
//! version to version.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::ConfineError;
use crate::seccomp::{NEVER_IOCTL, SOCKETS, never};

/// Calls through the x32 table carry this bit; where the kernel has that table they are the same calls (syscall(2)).
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Sets no_new_privs and the filter, for this thread and all that come of it. To be called before there is another.
///
/// A refused call gets EPERM, which is what the kernel itself says to an account without privileges, and what runtimes are
/// written for. Where a job's own filter refuses as well its answer counts (seccomp(2): of equal actions the last filter's).
/// A call by another table than the native one ends the process.
///
/// # Errors
/// When the kernel does not take it; nothing may be served then.
pub fn refuse_calls() -> Result<(), ConfineError> {
    let program = compiled().map_err(ConfineError::Compile)?;
    seccompiler::apply_filter(&program).map_err(ConfineError::Filter)
}

fn compiled() -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for number in never().filter_map(|number| i64::try_from(number).ok()) {
        // No rule at all: whatever the arguments.
        rules.insert(number, Vec::new());
    }
    let is = |argument, op, value: u32| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, value.into());
    let requests = NEVER_IOCTL.into_iter().map(|request| SeccompRule::new(vec![is(1, SeccompCmpOp::Eq, request)?]));
    rules.insert(libc::SYS_ioctl, requests.collect::<Result<_, _>>()?);
    let other = SOCKETS.into_iter().map(|family| is(0, SeccompCmpOp::Ne, family)).collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(other)?]);
    #[cfg(target_arch = "x86_64")]
    for (number, rule) in rules.clone() {
        rules.insert(number | X32, rule);
    }
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.cast_unsigned()),
        ARCH.try_into()?,
    )?
    .try_into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    use nix::sys::prctl;
    use rustix::net::{AddressFamily, SocketType, socket};

    use crate::seccomp::NEVER;
    use crate::sys::probe::errno_of;

    /// It needs no argument and does it.
    const WITHOUT_ARGUMENTS: &str = "vhangup";

    /// What becomes of every call, by its name, and of sockets of the families AF_ALG, AF_VSOCK and AF_UNIX.
    fn asked() -> (Vec<(&'static str, i32)>, [i32; 3]) {
        let names = NEVER.iter().flat_map(|one| one.names).filter(|name| **name != WITHOUT_ARGUMENTS);
        let calls = names.filter_map(|name| Some((*name, errno_of(crate::seccomp::Call::of(name).ok()?.number?))));
        let of = |family| {
            let made = socket(AddressFamily::from_raw(family), SocketType::SEQPACKET, None);
            made.err().map_or(0, rustix::io::Errno::raw_os_error)
        };
        (calls.collect(), [of(38), of(40), of(1)])
    }

    /// The contrast: the same calls before and after, in a thread of its own, with which the filter goes.
    #[test]
    fn what_is_refused_was_answered_before() {
        let seen = thread::spawn(|| {
            let before = asked();
            refuse_calls().unwrap();
            (before, asked(), prctl::get_no_new_privs().unwrap())
        });
        let ((calls, [alg, vsock, _]), (after, sockets), no_new_privileges) = seen.join().unwrap();
        assert!(no_new_privileges);
        let let_through: Vec<_> = after.iter().filter(|(_, errno)| *errno != libc::EPERM).collect();
        assert!(let_through.is_empty(), "{let_through:?}");
        assert_eq!(sockets, [libc::EPERM, libc::EPERM, 0]);
        assert!(alg != libc::EPERM && vsock != libc::EPERM, "{alg} {vsock}");
        // An ordinary user is told EPERM for most of them by the kernel.
        let otherwise = calls.iter().filter(|(_, errno)| *errno != libc::EPERM).count();
        let least = if rustix::process::geteuid().is_root() { calls.len() * 3 / 4 } else { 8 };
        assert!(otherwise >= least, "{calls:?}");
    }
}
